from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlviz.affinity.variants import ROLLOUT, VARIANTS
from nlviz.analysis.controls import variants
from nlviz.captures.model import Capture
from nlviz.clips.point import Point
from nlviz.errors import InvalidView, OutsideClip, UnknownBlock
from nlviz.views.display import SOURCES, Display
from nlviz.views.reading import read_view
from nlviz.views.view import ClipRef, ModelRef, View
from tests.fixtures import BLOCK

NAMES = st.text(
    st.characters(codec="utf-8", exclude_characters="\x00", exclude_categories=["Cs"]), min_size=1
)
DISPLAYS = st.builds(
    Display,
    source=st.sampled_from(SOURCES),
    head=st.one_of(st.sampled_from(["mean", "max"]), st.integers(0, 11)),
    direction=st.sampled_from(["from", "to"]),
    show=st.sampled_from(["map", "links", "both"]),
    links=st.integers(0, 500),
    cells=st.sampled_from(["cells", "smooth"]),
    strength=st.floats(0, 1),
    values=st.sampled_from(["rows", "logits"]),
    leave_out=st.sampled_from(["nothing", "cell", "frame"]),
    scale=st.sampled_from(["query", "locked", "frame"]),
    top=st.one_of(st.none(), st.floats(1e-3, 1e6)),
    unit=st.sampled_from(["uniform", "absolute"]),
)
HUNDREDTHS = st.integers(0, 400_000).map(lambda n: n / 100)
VIEWS = st.builds(
    View,
    model=st.builds(ModelRef, name=NAMES),
    clip=st.builds(
        ClipRef,
        name=NAMES,
        start=HUNDREDTHS,
        stride=st.one_of(st.none(), st.integers(1, 60)),
        frames=st.one_of(st.none(), st.integers(1, 64)),
        size=st.one_of(st.none(), st.integers(16, 720)),
    ),
    block=NAMES,
    query=st.builds(Point, frame=HUNDREDTHS, y=HUNDREDTHS, x=HUNDREDTHS),
    display=DISPLAYS,
)


@settings(max_examples=60, deadline=None)
@given(VIEWS)
def test_a_view_survives_its_file_and_its_address(view: View) -> None:
    assert View.from_json(view.to_json()) == view
    assert View.from_query_params(view.to_query_params()) == view


def test_an_address_is_short_and_says_only_what_is_special() -> None:
    view = View(
        ModelRef("lite-nl", "ab"), ClipRef("a.mp4", "cd", frames=8), "stage4", Point(3, 96, 140)
    )
    plain = {"clip": "a.mp4", "model": "lite-nl", "block": "stage4", "at": "3,96,140"}
    assert view.to_query_params() == plain
    assert View.from_query_params({**plain, "embed": "true"}).clip.frames == 8
    special = View(view.model, view.clip, view.block, view.query, Display(links=5, cells="smooth"))
    assert special.to_query_params() == {**plain, "links": "5", "cells": "smooth"}


def test_the_view_of_a_capture_names_its_input(capture: Capture) -> None:
    view = View.of(capture, BLOCK, frame=2, y=50, x=7.5, display={"links": 4, "unheard": 1})
    assert view.model == ModelRef("tiny", "ab" * 32)
    assert (view.clip.name, view.clip.digest) == ("noise.mp4", capture.clip.digest)
    assert view.display == Display(links=4)
    with pytest.raises(UnknownBlock):
        View.of(capture, "stage9", frame=0, y=0, x=0)
    with pytest.raises(OutsideClip, match="y must be between 0 and 51"):
        View.of(capture, BLOCK, frame=0, y=52, x=0)


def edited(*path: str, value: Any) -> str:
    view = View(ModelRef("lite-nl"), ClipRef("a.mp4"), "stage4", Point(3, 96, 140))
    whole = json.loads(view.to_json())
    inner = whole
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = value
    return json.dumps(whole)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "must be JSON text"),
        ("[" * 100_000, "must be JSON text"),
        ("[]", "this has 'list'"),
        ('{"format": "other"}', "this has 'other'"),
        (edited("version", value=2), "version 1, this one has version 2"),
        (edited("model", value="lite-nl"), "model must be an object"),
        (edited("model", "name", value=None), r"model\.name must be a text"),
        (edited("clip", "digest", value=7), r"clip\.digest must be a text"),
        (edited("clip", "name", value=""), r"clip\.name must be a text"),
        (edited("clip", "start", value=-1), "clip.start must be a number from 0, got -1"),
        (edited("clip", "start", value="0"), "clip.start must be a number from 0, got '0'"),
        (edited("clip", "frames", value=0), "frames must be a whole number from 1"),
        (edited("clip", "frames", value=True), "frames must be a whole number from 1"),
        (edited("clip", "size", value=224.5), "size must be a whole number from 16"),
        (edited("clip", "stride", value=10**9), "stride must be a whole number"),
        (edited("block", value=4), "block must be a text"),
        (edited("query", value=[3, 96, 140]), "query must be an object"),
        (edited("query", "x", value=None), "x must be a number from 0, got None"),
        (edited("query", "y", value=-2), "y must be a number from 0, got -2"),
        (edited("query", "y", value=float("nan")), "y must be a number from 0"),
        (edited("display", value=3), "display must be an object"),
        (edited("display", "strength", value=1.5), "strength must be a number from 0 to 1"),
        (edited("display", "head", value=-1), "head must be a whole number from 0"),
        (edited("display", "head", value=True), "head must be a whole number from 0"),
        (edited("display", "links", value=2.5), "links must be a whole number"),
        (edited("display", "links", value=10**6), "links must be a whole number"),
        (edited("display", "source", value=["learned"]), "source must be learned"),
        (edited("display", "scale", value="own"), "scale must be query, locked, frame or log"),
        (edited("display", "top", value=0), "top must be a number above 0"),
    ],
)
def test_a_view_edited_into_nonsense_is_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidView, match=message):
        View.from_json(text)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"at": None}, "at missing"),
        ({"clip": None, "block": None}, "clip and block missing"),
        ({"at": "3,96"}, "three numbers from 0, got '3,96'"),
        ({"at": "a,b,c"}, "three numbers from 0, got 'a,b,c'"),
        ({"at": "3,inf,4"}, "three numbers from 0, got '3,inf,4'"),
        ({"frames": "many"}, "frames must be a whole number from 1 to 4096, or all, got 'many'"),
        ({"frames": "99999"}, "frames must be a whole number from 1"),
        ({"head": "first"}, "head must be a whole number"),
        ({"links": "x"}, "links must be a whole number"),
        ({"show": "everything"}, "show must be map, links or both"),
        ({"strength": "nan"}, "strength must be a number from 0 to 1"),
    ],
)
def test_an_address_typed_wrong_is_refused(change: dict[str, str | None], message: str) -> None:
    params = {"clip": "a.mp4", "block": "stage4", "at": "3,96,140", **change}
    with pytest.raises(InvalidView, match=message):
        View.from_query_params({k: v for k, v in params.items() if v is not None})


def test_a_view_file_is_read_and_a_bad_one_is_named(tmp_path: Path) -> None:
    good = tmp_path / "view.json"
    good.write_text(edited("block", value="stage3"), "utf-8")
    assert read_view(good).block == "stage3"
    with pytest.raises(InvalidView, match=r"missing\.json' cannot be read \(No such file"):
        read_view(tmp_path / "missing.json")
    with pytest.raises(InvalidView, match="cannot be read"):
        read_view(tmp_path)
    bad = tmp_path / "bad.json"
    bad.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidView, match="not UTF-8"):
        read_view(bad)
    bad.write_text("{}", "utf-8")
    with pytest.raises(InvalidView, match=r"^bad\.json: a view has"):
        read_view(bad)


def test_the_sources_are_those_of_the_controls(capture: Capture) -> None:
    # Nothing is added to the logits there: no terms. Convolutions lie between: no rollout. No other
    # block is of its layer: no cross.
    without = tuple(
        v.key for v in VARIANTS if v.term is None and not v.several and v is not ROLLOUT
    )
    assert tuple(s.key for s in variants(capture, BLOCK)) == without == (*SOURCES[:8], SOURCES[-1])
