"""Boxes of drawings on a ground of one colour."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from nlviz.clips.plain_boxes import plain_boxes
from nlviz.errors import NlvizError
from nlviz.recipes.object_relation import drawn, scene


def test_boxes_of_a_scene_are_those_that_were_drawn() -> None:
    found = scene(np.random.default_rng(5), stacks=4)
    boxes = plain_boxes(drawn(found))
    assert sorted(map(tuple, boxes.tolist())) == sorted(map(tuple, found.boxes.tolist()))


def test_what_compression_does_to_a_ground_makes_no_boxes() -> None:
    found = scene(np.random.default_rng(6), stacks=3)
    coded = cv2.imencode(".jpg", drawn(found)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])[1]
    read = cv2.imdecode(coded, cv2.IMREAD_COLOR)
    assert read is not None
    boxes = plain_boxes(np.ascontiguousarray(read[..., ::-1]))
    assert len(boxes) == len(found.boxes)
    order = np.lexsort([found.boxes[:, 1], found.boxes[:, 0]])
    assert np.abs(boxes - found.boxes[order]).max() <= 2


def test_pictures_without_boxes_are_refused() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (40, 50, 3), dtype=np.uint8)
    with pytest.raises(NlvizError, match="the border of cat has several"):
        plain_boxes(noise, name="cat")
    with pytest.raises(NlvizError, match="1 to 100 of them, the picture has 0"):
        plain_boxes(np.full((40, 50, 3), 9, np.uint8))
