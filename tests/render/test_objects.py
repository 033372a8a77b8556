"""Objects drawn over frames, in pictures, movies, strips and for the browser."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from nlviz.captures.model import Capture
from nlviz.clips.clip import Clip
from nlviz.clips.detections import Detection
from nlviz.render.objects import OBJECT, draw_objects, with_objects
from nlviz.render.save import overlay_of, render_bytes
from nlviz.views.view import View
from nlviz.web.payloads.container import unpack
from nlviz.web.payloads.live_view import live_view
from nlviz.web.payloads.objects import for_live_view
from tests.fixtures import BLOCK


def dog(frame: int = 1) -> Detection:
    mask = np.zeros((52, 84), bool)
    mask[12:30, 40:66] = True
    return Detection(frame, "dog", 1, 0.876, (10, 38, 32, 68), mask)


def person(frame: int = 1) -> Detection:
    places = np.stack([np.linspace(5, 45, 17), np.linspace(8, 24, 17), np.full(17, 4.0)], 1)
    places[3, 2] = -1.0  # not seen
    return Detection(frame, "person", 1, 0.6, (2, 4, 48, 28), None, places.astype(np.float32))


@pytest.fixture
def found(capture: Capture) -> Capture:
    return replace(capture, detections=(dog(), person(), person(2)))


def view(capture: Capture, **display: object) -> View:
    return View.of(capture, BLOCK, frame=1, y=20, x=30, display=display)


def green(picture: np.ndarray) -> np.ndarray:
    """Return where a picture has the colour of objects, or nearly so."""
    return (np.abs(picture.astype(int) - OBJECT) < 30).all(-1)


def test_a_frame_shows_its_objects_where_they_are() -> None:
    frame = np.full((104, 168, 3), 90, np.uint8)  # twice the clip
    drawn = with_objects(frame, [dog()], (52, 84), lettering=False)
    rows, columns = np.nonzero(green(drawn))
    assert (rows.min(), rows.max()) == pytest.approx((20, 64), abs=2)
    assert (columns.min(), columns.max()) == pytest.approx((76, 136), abs=2)
    inner = green(drawn)[22:62, 79:133]  # without the box, the outline of the mask is left
    rows, columns = np.nonzero(inner)
    assert (rows.min() + 22, rows.max() + 22) == pytest.approx((24.5, 59.5), abs=2)
    assert (columns.min() + 79, columns.max() + 79) == pytest.approx((80.5, 131.5), abs=2)
    assert with_objects(frame, [], (52, 84), lettering=True) is frame


def test_labels_stay_inside_the_frame() -> None:
    frame = np.full((104, 168, 3), 255, np.uint8)
    at_the_edge = replace(dog(), box=(0.0, 60.0, 20.0, 83.0), mask=None)
    plain = with_objects(frame, [at_the_edge], (52, 84), lettering=False)
    drawn = with_objects(frame, [at_the_edge], (52, 84), lettering=True)
    assert (plain != drawn).any()
    assert drawn.shape == frame.shape


def test_keypoints_that_are_not_seen_have_no_limbs() -> None:
    (sent,) = for_live_view([person()])
    assert sent["keypoints"][3] is None
    assert sum(p is not None for p in sent["keypoints"]) == 16
    assert len(sent["limbs"]) == 16
    (other,) = for_live_view([replace(person(), keypoints=np.ones((5, 3), np.float32))])
    assert other["limbs"] == []

    from PIL import ImageDraw

    picture = Image.new("RGB", (84, 52))
    draw_objects(ImageDraw.Draw(picture), [person()])
    assert green(np.asarray(picture)).any()


def test_the_browser_is_told_of_all_objects(found: Capture) -> None:
    header, _ = unpack(live_view(found, BLOCK))
    names = [(o["name"], o["frame"]) for o in header["objects"]]
    assert names == [("dog 1", 1), ("person 1", 1), ("person 1", 2)]
    first = header["objects"][0]
    assert first["box"] == [10, 38, 32, 68]
    assert first["centre"] == [20.5, 52.5]
    assert first["score"] == 0.876
    assert len(first["outlines"]) == 1
    assert unpack(live_view(replace(found, detections=()), BLOCK))[0]["objects"] == []


def test_overlays_show_objects_unless_they_are_hidden(found: Capture) -> None:
    affinity = found.affinities[BLOCK]
    shown = overlay_of(found, affinity, view(found))
    hidden = overlay_of(found, affinity, view(found, objects="hidden"))
    differs = (shown.frames != hidden.frames).any((1, 2, 3))
    assert differs.tolist() == [False, True, True]
    assert green(shown.frames[1]).sum() > 60
    assert not green(hidden.frames).any()


@pytest.mark.parametrize("kind", ["png", "gif"])
def test_files_show_objects_unless_they_are_hidden(found: Capture, kind: str) -> None:
    affinity = found.affinities[BLOCK]
    count = []
    for objects in ("shown", "hidden"):
        data = render_bytes(kind, found, affinity, view(found, objects=objects))
        picture = Image.open(BytesIO(data))
        if kind == "gif":
            picture.seek(1)
        count.append(int(green(np.asarray(picture.convert("RGB"))).sum()))
    assert count[0] > 200
    assert count[1] == 0


def test_objects_leave_the_space_between_frames_alone(found: Capture) -> None:
    wide = replace(dog(), box=(-40.0, -60.0, 90.0, 140.0), mask=None)
    beyond = replace(found, detections=(wide,))
    affinity = found.affinities[BLOCK]
    png = [
        np.asarray(Image.open(BytesIO(render_bytes("png", c, affinity, view(c, show="map")))))
        for c in (beyond, replace(found, detections=()))
    ]
    differs = (png[0] != png[1]).any(-1)
    paper = (png[1] == 255).all(-1)
    assert differs.any()  # its label
    assert not (differs & paper).any()


def test_a_page_of_its_own_carries_the_objects(found: Capture) -> None:
    page = render_bytes("html", found, found.affinities[BLOCK], view(found)).decode()
    import base64
    import re

    body = re.search(r'id="nlviz-container">|id="nlv-container">([^<]*)<', page)
    assert body is not None
    header, _ = unpack(base64.b64decode(body.group(1)))
    assert [o["name"] for o in header["objects"]] == ["dog 1", "person 1", "person 1"]


def test_clips_without_objects_look_as_before(capture: Capture, clip: Clip) -> None:
    assert capture.detections == ()
    shown = overlay_of(capture, capture.affinities[BLOCK], view(capture))
    hidden = overlay_of(capture, capture.affinities[BLOCK], view(capture, objects="hidden"))
    assert (shown.frames == hidden.frames).all()


def test_labels_do_not_cover_each_other() -> None:
    from PIL import ImageDraw

    pictures = []
    for boxes in (((40.0, 30.0),), ((40.0, 30.0), (43.0, 34.0), (41.0, 60.0))):
        found = [
            Detection(0, "dog", n + 1, 0.9, (top, left, top + 30, left + 50))
            for n, (top, left) in enumerate(boxes)
        ]
        picture = Image.new("RGB", (300, 160), (200, 200, 200))
        draw_objects(ImageDraw.Draw(picture), found, lettering=12)
        pictures.append((np.asarray(picture) == (16, 18, 23)).all(-1))
    one, three = (int(p.sum()) for p in pictures)
    assert three == pytest.approx(3 * one, rel=0.12)  # the cards of all three are seen whole
