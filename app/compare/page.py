"""A | B: two blocks, networks, inputs or changes side by side, for one query."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import streamlit as st

import nlviz

from .. import warm_up
from ..shared.errors import errors_shown, progress_to
from ..shared.language import spoken
from ..shared.markdown import plain
from ..shared.waiting import place
from . import cached, results, sides
from .choices import OF_B, Choices, parameters
from .state import STATE

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

CURE = "Another input or block may work."
LEAD = (
    "**A | B**: one query in two maps, on one colour scale, and what B gives more than A. Point at "
    "either; both follow. Clips and networks of your own are opened in Explore and offered here."
)


@dataclass(frozen=True)
class Pair:
    """Both sides, as they are on the screen.

    Attributes:
        a, b: the sides; each is asked at the query of the page.
        key: what they follow from.
    """

    a: nlviz.Side
    b: nlviz.Side
    key: tuple[object, ...]


def page() -> None:
    """Draw the page; an error is shown as a sentence, beside the ways that lead on."""
    st.caption(spoken(LEAD))
    waiting = place()
    with errors_shown("A | B", waiting, cure=CURE, ways_on=_ways_on):
        _draw(waiting)


def _draw(waiting: DeltaGenerator) -> None:
    STATE.begin()
    warm_up.start()
    now = STATE.now
    below = sides.draw(now)
    STATE.notes()
    pair = _pair(now, below, waiting)
    waiting.empty()
    _live(pair)


def _pair(
    now: Choices, below: tuple[DeltaGenerator, DeltaGenerator], waiting: DeltaGenerator
) -> Pair:
    """Return both sides: their inputs read, their networks run."""
    with waiting.container():
        bar = st.progress(0.0, spoken("Preparing A and B"))
        st.button(spoken("Cancel"), key="cmp_cancel", on_click=STATE.back)
    progress = progress_to(bar)
    choice = cached.choice_of(now)
    a = cached.capture_of(choice, "", progress.part(0.0, 0.5))
    with below[0]:
        sides.draw_block(now, a, "")
    other = cached.choice_of(_as_a(now), OF_B) if now.crossed else cached.choice_of(now, OF_B)
    b = cached.capture_of(other, now.change, progress.part(0.5, 0.95))
    if not now.crossed:
        with below[1]:
            sides.draw_block(now, b, OF_B)
    progress("Laying the maps on one grid", 0.95)
    block, source = _in(a, now.block, now.source)
    head = now.display.get("head", "mean")
    one = nlviz.Side(a, block, _head(a, block, head), source, now.display.get("direction", "from"))
    if now.crossed:
        second = nlviz.Side(a, block, one.head, direction=one.direction, keys_of=b)
    else:
        b_block, b_source = _in(b, now.b_block, now.b_source)
        b_head = _head(b, b_block, now.b_head)
        second = nlviz.Side(b, b_block, b_head, b_source, one.direction)
    opening, _ = nlviz.opening_query(a.clip, a.affinities[block])
    STATE.settle(a.clip.shape, opening, {"learned": a.affinities[block].heads})
    key = (choice, other, now.change, now.crossed, block, source, second.block, second.source)
    return Pair(one, second, key)


def _as_a(now: Choices) -> Choices:
    """Return the choices with B's network that of A, whose queries ask."""
    return replace(now, b_model=now.model)


def _in(capture: nlviz.Capture, block: str | None, source: str) -> tuple[str, str]:
    names = list(capture.affinities)
    if not names:
        raise nlviz.NlvizError(
            f"{capture.about.name} has no block whose map can be shown on {capture.clip.name}; "
            "choose another network"
        )
    block = block if block in names else names[-1]
    known = [variant.key for variant in nlviz.variants(capture, block)]
    return block, source if source in known and source not in sides.SLOW else known[0]


def _head(capture: nlviz.Capture, block: str, head: Any) -> Any:
    """Return a head that the block has: its index, or ``mean`` or ``max`` over heads."""
    heads = capture.affinities[block].heads
    return "mean" if isinstance(head, int) and head >= heads else head


@st.fragment
def _live(pair: Pair) -> None:
    """Draw both views and what belongs to the query; a pin reruns only this."""
    with errors_shown("A | B", cure=CURE):
        now = STATE.now
        found = _compared(pair, now)
        view = nlviz.CompareView.of(found, display=_display(now))
        STATE.show(
            _payload(pair, found, view),
            display=view.a.display.to_dict(),
            other=view.b.display.to_dict(),
        )
        explore: dict[str, str] = st.session_state.get("explore_address", {})
        STATE.write_address(parameters(now, view, explore))
        STATE.drawn()
        results.draw(found, view)


def _compared(pair: Pair, now: Choices) -> nlviz.Comparison:
    """Return the comparison at the query of the page, with the heads that are on the screen."""
    token = now.display.get("token", "")
    own = pair.a.shown
    query = token if token and token in own.token_names else now.where
    direction = now.display.get("direction", "from")
    head = _head(pair.a.capture, pair.a.block, now.display.get("head", "mean"))
    b_head = head if now.crossed else _head(pair.b.capture, pair.b.block, now.b_head)
    a = replace(pair.a, head=head, direction=direction, label="")
    b = replace(pair.b, head=b_head, direction=direction, label="")
    for made, known in ((a, pair.a), (b, pair.b)):
        made.__dict__["shown"] = known.shown  # what took long is not made again
    return nlviz.compare_views(a, b, query=query)


def _display(now: Choices) -> dict[str, object]:
    """Return how both are drawn, as far as a comparison has it."""
    asked = ("source", "head", "direction", "token", "heads", "residual", "painted")
    shown = {name: value for name, value in now.display.items() if name not in asked}
    return {"show": "map", **shown}


def _payload(pair: Pair, found: nlviz.Comparison, view: nlviz.CompareView) -> bytes:
    """Return the bytes of both views, kept while the sides stay, where they hold all rows."""
    known: tuple[object, bytes] | None = st.session_state.get("cmp_payload")
    if known is not None and known[0] == pair.key:
        return known[1]
    payload: bytes = nlviz.web.linked_view(found, display=view.a.display, channel=STATE.name)
    served = any(
        source["server"]
        for side in nlviz.web.unpack(payload)[0]["sides"]
        for source in side["sources"]
    )
    if not served:  # otherwise each pin brings its rows
        st.session_state["cmp_payload"] = (pair.key, payload)
    return payload


def _ways_on() -> None:
    """Draw what leads on from where nothing can be drawn."""
    with st.container(horizontal=True):
        st.button(spoken("Try again"), key="cmp_again")
        good = STATE.good
        if good is not None and good != STATE.now:
            st.button(f"Go back to {plain(good.name)}", key="cmp_back", on_click=STATE.back)
        elif good is None:
            st.button(
                spoken("Open the first view"), key="cmp_first", on_click=STATE.open, args=({},)
            )
