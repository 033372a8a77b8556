"""The changes that can be tried on the page: a choice, and the fields that each of them needs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import streamlit as st

import nlviz

from ...shared.language import spoken
from .asked import Asked

if TYPE_CHECKING:
    Made = nlviz.interventions.Change | tuple[nlviz.interventions.Change, ...]

change = nlviz.interventions
NAME = "ask-change-"  # begins the keys of all fields


class Wanted(NamedTuple):
    """A change that was chosen.

    Attributes:
        make: returns it, or several; what must be found first takes passes, and reports them.
        key: all that it depends on.
    """

    make: Callable[[nlviz.Model, nlviz.Clip, nlviz.Progress], Made]
    key: tuple[object, ...]


class Offer(NamedTuple):
    """A change that is offered.

    Attributes:
        label: what its choice says.
        make: draws its fields and returns it; None where something is missing, which it says.
        least: how many frames it needs; 0 where it is one of the network, not of the clip.
    """

    label: str
    make: Callable[[Asked], Wanted | None]
    least: int = 1


def choose(asked: Asked) -> Wanted | None:
    """Draw the choice and its fields, and return the change; None while it is not complete."""
    pixels = asked.capture.text is None and not isinstance(asked.capture.clip, nlviz.Graph)
    frames = len(asked.capture.clip.frames) if pixels else 0
    offers = {name: offer for name, offer in OFFERS.items() if offer.least <= frames}
    if asked.affinity.heads < 2:
        offers.pop("head", None)
        offers.pop("register", None)  # of transformers
    if not asked.affinity.pairwise.softmax:
        offers.pop("temperature", None)
    if frames and asked.affinity.keys.kind != "grid":
        offers.pop("region", None)
    if asked.affinity.keys.kind != "grid" or asked.affinity.keys.shape[0] < 2:
        offers.pop("frames", None)
    what, fields = st.columns([5, 7], gap="medium")
    with what:
        name = st.selectbox(
            spoken("Change"),
            list(offers),
            format_func=lambda name: offers[name].label,
            key=f"{NAME}what",
        )
    with fields:
        return offers[name].make(asked)


def _frame(asked: Asked, label: str, name: str, value: int | None = None) -> int:
    """Draw a field for a frame, by default the query's; pages count them from 1."""
    last = len(asked.capture.clip.frames) - 1
    if not last:
        st.caption(spoken("The picture is its only frame."))
        return 0
    own = round(asked.view.query.frame) if value is None else value
    start = min(max(own, 0), last)
    # The key names the clip's length: a value beyond a shorter clip would be refused.
    key = f"{NAME}{name}-{last}"
    return int(st.number_input(label, 1, last + 1, value=start + 1, key=key)) - 1


def _seed(name: str) -> int:
    return int(st.number_input(spoken("Seed"), 0, 9999, value=0, key=f"{NAME}{name}-seed"))


def _of(made: nlviz.interventions.Change, *more: object) -> Wanted:
    return Wanted(lambda model, clip, progress: made, (made.said, *more))


def _freeze(asked: Asked) -> Wanted:
    return _of(change.FreezeFrame(_frame(asked, "Frame that all others become", "freeze")))


def _shuffle(_asked: Asked) -> Wanted:
    return _of(change.ShuffleTime(_seed("shuffle")))


def _reverse(_asked: Asked) -> Wanted:
    st.caption(spoken("The last frame comes first."))
    return _of(change.ReverseTime())


def _swap(asked: Asked) -> Wanted | None:
    left, right = st.columns(2)
    last = len(asked.capture.clip.frames) - 1
    with left:
        one = _frame(asked, "Frame", "swap-one")
    with right:
        other = _frame(asked, "changes places with", "swap-other", 0 if one else last)
    if one == other:
        st.caption(spoken("Choose two different frames."))
        return None
    return _of(change.SwapFrames(one, other))


def _noise(asked: Asked) -> Wanted:
    left, middle, right = st.columns(3, vertical_alignment="bottom")
    with left:
        frame = _frame(asked, "Frame", "noise")
    with middle:
        sigma = st.number_input(
            spoken("Sigma"),
            0,
            255,
            value=0,
            step=5,
            key=f"{NAME}sigma",
            help=spoken(
                "Grey levels of noise that is added to the frame; 0 puts noise with the frame's "
                "own colours in its place"
            ),
        )
    with right:
        seed = _seed("noise")
    return _of(change.NoiseFrame(frame, float(sigma) or None, seed))


def _neighbours(asked: Asked) -> Wanted:
    return _of(change.FrameFromNeighbours(_frame(asked, "Frame", "neighbours")))


def _other_clip(asked: Asked) -> Wanted:
    left, middle, right = st.columns([2, 4, 2], vertical_alignment="bottom")
    with left:
        frame = _frame(asked, "Frame", "other")
    known = nlviz.bundled_inputs()
    others = [name for name in known if name != asked.capture.clip.name]
    with middle:
        name = st.selectbox(spoken("becomes one of"), others, key=f"{NAME}clip")
    with right:
        of_other = (
            int(st.number_input(spoken("Its frame"), 1, 8, value=1, key=f"{NAME}of-other")) - 1
        )
    other = _bundled(str(known[name]))
    return _of(change.FrameFrom(frame, other, min(of_other, len(other.frames) - 1)), other.digest)


@st.cache_resource(max_entries=4, show_spinner=False)
def _bundled(path: str) -> nlviz.Clip:
    return nlviz.read_clip(path, frames=8)


def _region(asked: Asked) -> Wanted | None:
    painted = asked.view.display.painted
    grid = asked.affinity.keys
    cells = nlviz.painted_cells(painted, grid.shape)
    fills = list(nlviz.words.FILL_NAMES)
    fill = st.selectbox(
        spoken("In its place"),
        fills,
        format_func=nlviz.words.FILL_NAMES.__getitem__,
        key=f"{NAME}fill",
    )
    if not cells:
        st.caption(
            spoken(
                "Paint the region on the pictures above first: choose the brush, then draw "
                "over cells."
            )
        )
        return None
    shape = asked.capture.clip.shape
    made = change.MaskRegion.of_cells(grid, cells, shape, fill=fill)
    st.caption(f"{nlviz.words.counted(len(cells), 'painted cell')}.")
    return _of(made, painted)


def _bypass(asked: Asked) -> Wanted:
    st.caption(
        spoken("The block adds nothing. Its own map stays; blocks behind it see another input.")
    )
    return _of(change.Bypass(asked.block))


def _head(asked: Asked) -> Wanted:
    last = asked.affinity.heads - 1
    own = asked.head if isinstance(asked.head, int) else 0
    key = f"{NAME}head-{last}"
    head = int(st.number_input(spoken("Head, from 0"), 0, last, value=min(own, last), key=key))
    return _of(change.BypassHeads(asked.block, (head,)))


def _temperature(asked: Asked) -> Wanted:
    factor = st.number_input(
        spoken("Temperature"),
        0.1,
        10.0,
        value=2.0,
        step=0.1,
        key=f"{NAME}temperature",
        help=spoken(
            "Logits are divided by it before the softmax: above 1 rows spread out, below 1 they "
            "narrow"
        ),
    )
    return _of(change.Temperature(asked.block, float(factor)))


def _frames(asked: Asked) -> Wanted:
    blocks = [
        name
        for name, affinity in asked.capture.affinities.items()
        if affinity.keys.kind == "grid" and affinity.keys.shape[0] > 1
    ]
    everywhere = len(blocks) > 1 and st.checkbox(
        spoken("In all blocks"),
        key=f"{NAME}all-blocks",
        help=spoken(
            "Else in this one alone; what the frames give each other there, blocks behind it see"
        ),
    )
    st.caption(spoken("Every query keeps the keys of its own frame."))
    made = tuple(change.CutFrames(name) for name in (blocks if everywhere else [asked.block]))
    return Wanted(lambda model, clip, progress: made, tuple(one.said for one in made))


def _register(_asked: Asked) -> Wanted:
    neurons = int(
        st.number_input(
            spoken("Neurons whose activations it takes"),
            1,
            100,
            value=10,
            key=f"{NAME}neurons",
            help=spoken(
                "Those that are most active at the longest tokens and little elsewhere (Jiang et "
                "al. 2025); finding them takes a few passes"
            ),
        )
    )

    def found(
        model: nlviz.Model, clip: nlviz.Clip, progress: nlviz.Progress
    ) -> nlviz.interventions.Change:
        return change.register_neurons(model, clip, neurons=neurons, progress=progress)

    return Wanted(found, ("register", neurons))


OFFERS: dict[str, Offer] = {
    "freeze": Offer("Freeze a frame", _freeze, 2),
    "shuffle": Offer("Shuffle the frames", _shuffle, 2),
    "reverse": Offer("Reverse time", _reverse, 2),
    "swap": Offer("Swap two frames", _swap, 2),
    "noise": Offer("Noise in a frame", _noise),
    "neighbours": Offer("A frame becomes the mean of its neighbours", _neighbours, 2),
    "other": Offer("A frame of another clip", _other_clip),
    "region": Offer("Take the painted region out", _region),
    "frames": Offer("Cut all edges between frames", _frames, 2),
    "bypass": Offer("Bypass the block", _bypass, 0),
    "head": Offer("Leave a head out", _head, 0),
    "temperature": Offer("Another temperature of the softmax", _temperature, 0),
    "register": Offer("A register at test time, for sinks", _register),
}
