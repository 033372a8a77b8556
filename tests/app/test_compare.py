"""The page A | B: what its address says, what a swap does, and what is said on the page."""

from __future__ import annotations

from dataclasses import replace

import pytest
from streamlit.testing.v1 import AppTest

import nlviz
from app.compare.choices import EXPLORE, Choices, SaidOfBoth, Swapped, opened, parameters
from app.shared.choices import Chose
from nlviz.views.view import ClipRef, ModelRef
from tests.app.widgets import the

VIEW = nlviz.View(
    ModelRef("lite-nl"), ClipRef("cat.jpg", frames=8), "stage4", nlviz.Point(0, 40, 50)
)


def view(now: Choices) -> nlviz.CompareView:
    """The view that the page draws for choices of one clip."""
    shown = {"head": "mean", **now.display, "source": now.source}
    display = nlviz.View.from_dict(VIEW.to_dict() | {"display": shown}).display
    a = replace(VIEW, block=now.block or "stage4", query=now.where, display=display)
    other = replace(display, head=now.b_head, source=now.b_source)
    b = replace(a, block=now.b_block or "stage4", display=other)
    return nlviz.CompareView(a, b, now.crossed)


ONES = {
    "plain": Choices(b_source="learned"),
    "blocks": Choices(block="stage3", b_block="stage4"),
    "inputs": Choices(input="cat.jpg", b_input="coffee.jpg", crossed=True, b_source="learned"),
    "networks": Choices(b_model="lite-nl-control", b_source="position", b_head=2),
    "heads": Choices(display={"head": 3, "strength": 0.5}, b_head="max", b_source="learned"),
    "change": Choices(change="reversed", frames=None),
    "explore": Choices(input=EXPLORE, model=EXPLORE, b_input="cat.jpg"),
}


@pytest.mark.parametrize("now", ONES.values(), ids=ONES)
def test_an_address_brings_the_choices_back(now: Choices) -> None:
    now = replace(now, query=nlviz.Point(0, 40, 50), pinned=True)
    params = parameters(now, view(now), {"clip": "cat.jpg", "block": "stage4"})
    assert ("from" in params) == (now.input == EXPLORE)
    # The blocks that are drawn stand in it, also where the last one was meant.
    drawn = {"block": now.block or "stage4", "b_block": now.b_block or "stage4"}
    assert opened(params) == replace(now, **drawn)


def test_an_empty_address_is_the_first_view_and_a_bad_one_keeps_its_good_parts() -> None:
    assert opened({}) == Choices()
    found = opened({"clip": "cat.jpg", "b_head": "none", "b_source": "position"})
    assert (found.input, found.b_input, found.b_source) == ("cat.jpg", "cat.jpg", "position")
    assert "b_head" in found.notes[0]
    assert "at A's place" in opened({"clip": "cat.jpg", "at": "0,4,5", "b_at": "0,8,9"}).notes[0]


def test_a_swap_changes_sides_and_back() -> None:
    now = Choices(block="stage3", b_block="stage4", b_head=2, display={"head": 1})
    swapped = now.after(Swapped())
    assert (swapped.block, swapped.b_block) == ("stage4", "stage3")
    assert (swapped.display["head"], swapped.b_head) == (2, 1)
    assert (swapped.source, swapped.b_source) == (now.b_source, now.source)
    assert swapped.after(Swapped()) == now


def test_what_is_said_of_both_is_heard_once() -> None:
    now = Choices(opening=nlviz.Point(0, 9, 9))
    said = SaidOfBoth(now.of, 5, nlviz.Point(1, 20, 30), True, {"head": 1}, {"head": 4})
    after = now.after(said)
    assert (after.query, after.pinned, after.b_head) == (nlviz.Point(1, 20, 30), True, 4)
    assert after.display["head"] == 1
    assert after.after(replace(said, other={"head": 0})) == after
    stale = now.after(replace(said, of="another clip"))
    assert stale.b_head == now.b_head
    assert now.after(Chose("model", "lite-nl-control")).block is None


def page_alone() -> None:
    from app.compare import page as compare

    compare.page()


def page(**query: str) -> AppTest:
    test = AppTest.from_function(page_alone, default_timeout=120)
    test.query_params.update(query)
    return test.run()


def texts(test: AppTest) -> str:
    return " ".join(str(e.value) for e in [*test.markdown, *test.caption])


def address(test: AppTest) -> dict[str, str]:
    return {k: v[-1] if isinstance(v, list) else v for k, v in test.query_params.items()}


@pytest.mark.slow
def test_the_page_compares_swaps_and_crosses() -> None:
    test = page(clip="cat.jpg", block="stage4", at="0,40,50", b_block="stage3")
    assert not test.exception
    assert not test.error
    told = texts(test)
    assert "rank correlation of B with A" in told
    assert "by distance alone" in told
    assert address(test)["b_block"] == "stage3"
    the(test.button, "cmp_swap").click().run()
    assert address(test)["block"] == "stage3"
    assert address(test)["b_block"] == "stage4"
    the(test.selectbox, "cmp_b_input").set_value("coffee.jpg").run()
    the(test.toggle, "cmp_crossed").set_value(True).run()
    assert not test.exception
    assert not test.error
    assert address(test)["crossed"] == "1"
    assert address(test)["b_clip"] == "coffee.jpg"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"clip": "nothing.mp4"}, "nothing.mp4"),
        ({"clip": "cat.jpg", "b_change": "reversed"}, "at least 2"),
        ({"clip": "cat.jpg", "b_change": "upside"}, "no change of an input"),
        ({"clip": "explore"}, "nothing is open in Explore"),
        ({"clip": "cat.jpg", "model": "lite-n"}, "lite-n"),
    ],
)
def test_what_cannot_be_compared_is_a_sentence(query: dict[str, str], said: str) -> None:
    test = page(**query)
    assert not test.exception
    assert said.lower() in test.error[0].value.lower()
    assert "Try again" in [button.label for button in test.button]


@pytest.mark.slow
def test_what_is_open_in_explore_is_offered() -> None:
    from app.explore.state import Choice

    test = AppTest.from_function(page_alone, default_timeout=120)
    test.query_params.update({"clip": "explore", "model": "explore", "b_clip": "cat.jpg"})
    test.session_state["shown"] = Choice(
        "coffee.jpg", None, nlviz.Sampling(frames=1, size=120), "lite-nl", "cpu", None
    )
    test.session_state["explore_address"] = {"clip": "coffee.jpg", "size": "120"}
    test.run()
    assert not test.exception
    assert not test.error
    assert EXPLORE in the(test.selectbox, "cmp_input").options
    found = address(test)
    assert (found["clip"], found["model"], found["b_clip"]) == ("explore", "explore", "cat.jpg")
    assert "coffee.jpg" in found["from"]
