"""Views of two sides: what they are drawn from again, as JSON and as an address."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import parse_qsl, urlsplit

import pytest

from nlviz.analysis.compare import Side, compare_views
from nlviz.captures.capture import Capture
from nlviz.clips.point import Point
from nlviz.errors import InvalidView
from nlviz.views.compare_view import CompareView
from nlviz.views.display import Display
from nlviz.views.reading import read_view
from nlviz.views.view import ClipRef, ModelRef, View
from tests import words_and_boxes
from tests.fixtures import BLOCK

A = View(ModelRef("lite-nl"), ClipRef("a.mp4", frames=8, start=1.5), "stage4", Point(1, 96, 140))
SIDES = {
    "same": A,
    "block": replace(A, block="stage3"),
    "network": replace(A, model=ModelRef("lite-nl-control")),
    "head": replace(A, display=Display(head=3)),
    "source and place": replace(A, display=Display(source="features"), query=Point(0, 5, 6)),
    "direction": replace(A, display=Display(direction="to", head="max")),
    "clip": replace(A, clip=ClipRef("b.mp4", frames=8)),
    "frames": replace(A, clip=ClipRef("a.mp4", frames=None, size=120)),
    "token": replace(A, display=Display(token="cls")),
}


@pytest.mark.parametrize("b", SIDES.values(), ids=SIDES)
@pytest.mark.parametrize("crossed", [False, True])
@pytest.mark.parametrize("a", [A, replace(A, display=Display(head=2, links=7, strength=0.5))])
def test_an_address_brings_the_view_back(a: View, b: View, crossed: bool) -> None:
    asked = ("source", "head", "direction", "token")
    b = replace(b, display=replace(a.display, **{n: getattr(b.display, n) for n in asked}))
    view = CompareView(a, b, crossed)
    params = dict(parse_qsl(urlsplit(view.address).query))
    assert CompareView.from_query_params(params) == view
    assert CompareView.from_json(view.to_json()) == view
    if b == a:
        assert not any(name.startswith("b_") for name in params)


def test_an_address_of_explore_is_one_of_two_equal_sides() -> None:
    found = CompareView.from_query_params(A.to_query_params())
    assert found == CompareView(A, A)


def test_a_file_with_a_wrong_field_is_refused_and_a_good_one_read(tmp_path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "both.json"
    path.write_text(CompareView(A, A).to_json(), "utf-8")
    assert read_view(path) == CompareView(A, A)
    path.write_text(path.read_text("utf-8").replace('"crossed": false', '"crossed": "so"'), "utf-8")
    with pytest.raises(InvalidView, match="crossed"):
        read_view(path)


def test_a_view_of_a_comparison_makes_it_again(capture: Capture) -> None:
    sides = Side(capture, BLOCK), Side(capture, BLOCK, source="position", query=(0, 9.0, 11.0))
    found = compare_views(*sides, query=(1, 20.0, 50.0))
    view = CompareView.of(found, display={"strength": 0.4})
    assert view.b.query == Point(0, 9, 11)
    assert view.a.display.strength == 0.4
    again = compare_views(*view.sides(capture, capture), query=view.query)
    assert (again.difference.weights == found.difference.weights).all()
    assert list(view.table) == found.table


def test_tokens_and_crossed_sides_are_made_again() -> None:
    words = words_and_boxes.of_words()
    found = compare_views(Side(words, "causal", head=0), Side(words, "causal", head=1), query=4)
    again = CompareView.of(found).sides(words, words)
    made = compare_views(*again, query=CompareView.of(found).query)
    assert (made.difference.weights == found.difference.weights).all()
    film = words_and_boxes.of_film_and_words()
    side = Side(film, "layer", keys_of=film)
    found = compare_views((film, "layer"), side, query=(1, 20, 30))
    view = CompareView.of(found)
    assert view.crossed
    _, again_b = view.sides(film, film)
    assert again_b.keys_of is film
    with pytest.raises(InvalidView, match="swap the sides"):
        CompareView.of(compare_views(side, (film, "layer"), query=(1, 20, 30)))


def test_an_affinity_of_ones_own_has_no_name(capture: Capture) -> None:
    own = Side(capture, BLOCK, affinity=capture.affinities[BLOCK])
    with pytest.raises(InvalidView, match="of your own"):
        CompareView.of(compare_views((capture, BLOCK), own, query=5))
