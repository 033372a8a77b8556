"""Detected objects: middles, outlines, and what is written of them."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from nlviz.clips.detections import Detection


def filled(found: Detection, shape: tuple[int, int]) -> np.ndarray:
    """Return the pixels whose centre an outline goes around or runs through, holes left out."""
    canvas = np.zeros(shape, np.uint8)
    lines = [np.round(o[:, ::-1] - 0.5).astype(np.int32) for o in found.outline]
    cv2.fillPoly(canvas, lines, 1)  # even and odd: a hole's line takes out what it goes around
    cv2.polylines(canvas, lines, True, 1)
    return canvas.astype(bool)


def ring() -> np.ndarray:
    y, x = np.mgrid[:41, :57]
    distance = np.hypot(y - 20, x - 30)
    return (distance < 17) & (distance > 9)


def test_outlines_go_around_the_object_and_its_holes() -> None:
    mask = ring()
    mask[33:39, 2:11] = True  # a second part
    found = Detection(0, "ring", 1, 0.9, (3, 2, 39, 47), mask)
    assert len(found.outline) == 3
    differs = filled(found, mask.shape) != mask
    assert differs.sum() < 0.03 * mask.sum()  # simplified by less than a pixel
    exact = Detection(0, "box", 1, 0.9, (3, 5, 9, 30), np.pad(np.ones((6, 25), bool), 3))
    assert (filled(exact, (12, 31)) == exact.mask).all()


def test_the_middle_lies_on_the_object() -> None:
    assert Detection(0, "box", 1, 1.0, (10, 20, 30, 50)).centre == (19.5, 34.5)
    mask = ring()
    y, x = Detection(0, "ring", 1, 1.0, (3, 13, 38, 48), mask).centre
    assert mask[round(y), round(x)]
    assert 9 < np.hypot(y - 20, x - 30) < 11
    empty = Detection(0, "box", 1, 1.0, (10, 20, 30, 50), np.zeros((60, 60), bool))
    assert (empty.centre, empty.outline) == ((19.5, 34.5), ())


@pytest.mark.parametrize("mask", [None, ring(), np.ones((3, 4), bool), np.zeros((5, 2), bool)])
def test_what_is_written_is_read_again(mask: np.ndarray | None) -> None:
    keypoints = np.arange(51, dtype=np.float32).reshape(17, 3)
    found = Detection(2, "person", 3, 0.25, (1.5, 2.0, 7.25, 9.0), mask, keypoints)
    again = Detection.from_dict(json.loads(json.dumps(found.to_dict())))
    assert (again.frame, again.name, again.score, again.box) == (2, "person 3", 0.25, found.box)
    assert again.keypoints is not None
    assert (again.keypoints == keypoints).all()
    if mask is None:
        assert again.mask is None
    else:
        assert again.mask is not None
        assert again.mask.dtype == bool
        assert again.mask.shape == mask.shape
        assert (again.mask == mask).all()
