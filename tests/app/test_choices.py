"""Choices of the pages: events change them as a visitor means it, without Streamlit."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest

from app.denoise import choices as denoise
from app.explore import choices as explore
from app.shared.choices import Chose, Freed, Moved, Said, carried
from app.shared.uploads import Upload
from nlviz.clips.point import Point
from nlviz.views.view import ClipRef, ModelRef, View

SHAPE, OPENING, HEADS = (8, 90, 130), Point(4, 45, 60), {"learned": 2, "position": 1}


def settled(now: explore.Choices | None = None) -> explore.Choices:
    return (now or explore.Choices()).settled(SHAPE, OPENING, HEADS)


def said(now: Any, query: Point, n: float, *, pinned: bool = True, of: str | None = None) -> Said:
    return Said(of or now.of, n, query, pinned, {"source": "learned"})


def test_a_pin_is_taken_once_and_for_its_own_clip() -> None:
    now = settled()
    pinned = now.after(said(now, Point(1, 2, 3), 7))
    assert (pinned.query, pinned.pinned, pinned.seen) == (Point(1, 2, 3), True, 7)
    assert pinned.after(said(now, Point(5, 5, 5), 7)) == pinned  # a browser that repeats itself
    late = pinned.after(said(now, Point(5, 5, 5), 9, of="another clip"))
    assert (late.query, late.seen) == (Point(1, 2, 3), 9)


def test_the_opening_query_stays_one_that_nobody_pinned() -> None:
    now = settled()
    looked = now.after(said(now, OPENING, 3, pinned=False))
    assert looked.query is None and looked.where == OPENING
    freed = now.after(Moved(Point(1, 2, 3))).after(Freed())
    assert (freed.where, freed.pinned) == (Point(1, 2, 3), False)


def test_another_clip_drops_what_was_pinned_and_other_frames_keep_it() -> None:
    now = settled().after(Moved(Point(3, 20, 30)))
    for field, value in (("frames", 6), ("stride", 40), ("start", 0.5)):
        assert settled(now.after(Chose(field, value))).query == Point(3, 20, 30)
    later = replace(now, start=2.5).after(Chose("input", "cat.jpg"))
    assert (later.query, later.pinned, later.start) == (None, False, 0.0)
    short = now.after(Chose("frames", 2)).settled((2, 90, 130), OPENING, HEADS)
    assert short.query is None and "frame must be between 0 and 1" in short.notes[0]
    assert short.after(Chose("size", 240)).notes == ()


def test_a_point_keeps_its_place_in_a_picture_of_another_size() -> None:
    assert carried(Point(0, 0, 0), (1, 7, 9), (1, 70, 90)) == Point(0, 4.5, 4.5)
    assert carried(Point(3, 10, 11), (5, 20, 30), (1, 20, 30)) == Point(0, 10, 11)
    assert carried(Point(0, 6, 8), (1, 7, 9), (1, 1, 1)) == Point(0, 0, 0)
    for old, new in (((1, 61, 47), (1, 122, 94)), ((1, 61, 47), (1, 13, 10))):
        y, x = carried(Point(0, 60, 46), old, new)[1:]
        assert 0 <= y <= new[1] - 1 and 0 <= x <= new[2] - 1


def test_a_source_or_head_that_a_block_lacks_is_no_longer_chosen() -> None:
    now = replace(settled(), display={"source": "features", "head": 1, "links": 3})
    assert settled(now).display == {"head": 1, "links": 3}
    now = replace(now, display={"source": "position", "head": 1})
    assert settled(now).display == {"source": "position"}


def test_another_network_starts_at_its_last_block() -> None:
    now = replace(settled(), block="stage3")
    assert now.after(Chose("frames", 3)).block == "stage3"
    assert now.after(Chose("model", "timm/vit_tiny")).block is None
    path = replace(now, weights=Upload("a.pth", "ab")).after(Chose("weights_path", "/b.pth"))
    assert (path.block, path.weights) == (None, None)
    assert path.after(Chose("weights_path", "/b.pth")) == path


def view_of(now: explore.Choices) -> View:
    clip = ClipRef(now.name, "", now.start, now.stride, now.frames, now.size)
    return View(ModelRef("net"), clip, now.block or "last", now.where)


@pytest.mark.parametrize(
    "now",
    [
        explore.Choices(input="cat.jpg", query=Point(0, 5, 7), pinned=True, block="stage3"),
        explore.Choices(kind="Upload", upload=Upload("a: b.mp4", "12ab"), start=1.5, stride=3),
        explore.Choices(network="File", weights_path="/d/net.pth", flags="scale=false", half=True),
        explore.Choices(network="File", weights=Upload("w.pth", "34cd"), frames=None, size=240),
        explore.Choices(kind="Saved capture", saved="look.nlviz", query=Point(2, 5, 7)),
    ],
)
def test_an_address_opens_what_it_was_written_for(now: explore.Choices) -> None:
    now = settled(now)
    again = explore.opened(explore.parameters(now, view_of(now)), explore.Choices())
    assert settled(again).where == now.where
    same = ("kind", "name", "start", "stride", "size", "network_text", "flags", "half")
    if now.kind == "Saved capture":
        same = ("kind", "name")
    for field in (*same, *(() if now.kind == "Saved capture" else ("frames",))):
        assert getattr(again, field) == getattr(now, field), field


def test_a_hand_edited_address_keeps_its_good_parts() -> None:
    now = explore.opened({"clip": "cat.jpg", "at": "abc", "links": "9"}, explore.Choices())
    assert (now.input, now.query, now.display) == ("cat.jpg", None, {"links": 9})
    assert "at=abc" in now.notes[0]


def test_parameters_are_set_and_reset_one_by_one() -> None:
    now = denoise.first()
    now = now.after(denoise.SetParameter("mean", "window", 7, 5))
    now = now.after(denoise.SetParameter("bilateral", "h", 1.5, 1.0))
    assert now.set == {"mean": {"window": 7}, "bilateral": {"h": 1.5}}
    assert now.after(denoise.SetParameter("mean", "window", 5, 5)).set == {"bilateral": {"h": 1.5}}
    assert now.after(denoise.Reset("bilateral")).set == {"mean": {"window": 7}}
    assert denoise.opened(denoise.parameters(now, {})).set == now.set


def test_the_lens_moves_the_query_and_frees_it() -> None:
    now = denoise.first().settled((1, 40, 52), Point(0, 9, 9), {"mean": 1})
    pinned = now.after(denoise.LensSaid(now.of, 4, Point(0, 8, 7)))
    assert (pinned.query, pinned.pinned) == (Point(0, 8, 7), True)
    assert pinned.after(denoise.LensSaid(now.of, 4, None)) == pinned
    freed = pinned.after(denoise.LensSaid(now.of, 5, None))
    assert (freed.query, freed.pinned) == (Point(0, 8, 7), False)
    assert pinned.after(denoise.LensSaid("before", 6, Point(0, 1, 1))).query == Point(0, 8, 7)


def test_acts_count_in_the_order_in_which_they_were_done() -> None:
    now = denoise.first().settled((1, 40, 52), Point(0, 9, 9), {"mean": 1})
    pin, point = said(now, Point(0, 1, 2), 10), denoise.LensSaid(now.of, 12, Point(0, 8, 7))
    for events in ((pin, point), (point, pin)):  # heard together, in any order
        after = now
        for event in events:
            after = after.after(event)
        assert (after.query, after.seen, after.lens_seen) == (Point(0, 8, 7), 10, 12)
    later = now.after(point).after(said(now, Point(0, 1, 2), 13))
    assert later.query == Point(0, 1, 2)


def test_the_clip_of_explore_is_another_input_only_once_it_changes() -> None:
    now = replace(denoise.first(), kind="Explore", query=Point(0, 3, 4))
    now = now.after(denoise.OfExplore("twins"))
    assert now.query == Point(0, 3, 4)
    assert now.after(denoise.OfExplore("twins")) == now
    assert now.after(denoise.OfExplore("bunny")).query is None


EVENTS = {
    "grey": (True, False),
    "whole": (True, False),
    "size": (128, 384, None),
    "sigma": (10.0, 25.0, 60.0),
    "noise": ("gaussian", "salt-and-pepper"),
    "picture": ("cat.jpg", "coffee.jpg"),
    "chosen": ((), ("mean",), ("mean", "gaussian")),
}


@pytest.mark.parametrize("seed", range(200))
def test_whatever_happens_the_query_lies_in_the_picture_and_the_address_opens_it(seed: int) -> None:
    draw = random.Random(seed)
    now, n = denoise.first(), 1.0
    for _ in range(20):
        t, h, w = (5 if now.whole else 1), (now.size or 300), (now.size or 300) + 37
        now = now.settled((t, h, w), Point(t // 2, h // 3, w // 4), {"mean": 1, "gaussian": 1})
        assert now.where == now.where.inside((t, h, w))
        again = denoise.opened(denoise.parameters(now, {}))
        again = again.settled((t, h, w), Point(t // 2, h // 3, w // 4), {"mean": 1, "gaussian": 1})
        assert max(abs(a - b) for a, b in zip(again.where, now.where, strict=True)) < 0.01
        for field in denoise.FIELDS.values():
            if field != "query":
                assert getattr(again, field) == getattr(now, field)
        n += draw.choice((0, 1))
        at = Point(float(draw.randrange(t)), draw.uniform(0, h - 1), draw.uniform(0, w - 1))
        field = draw.choice(list(EVENTS))
        now = now.after(
            draw.choice(
                (
                    Chose(field, draw.choice(EVENTS[field])),
                    said(now, at, n, pinned=draw.random() < 0.7),
                    said(now, at, n, of="of a clip that is gone"),
                    Moved(at),
                    Freed(),
                    denoise.LensSaid(now.of, n, draw.choice((at, None))),
                    denoise.SetParameter("mean", "window", draw.choice((3, 5, 7)), 5),
                )
            )
        )
