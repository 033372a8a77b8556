"""What the lens is told, and what it refuses."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nlviz.errors import InvalidView
from nlviz.web.payloads.container import unpack
from nlviz.web.payloads.lens import LensPicture, lens_payload
from tests.web.lens.conftest import NOISES, PICTURES, payload


def test_pictures_arrive_pixel_for_pixel() -> None:
    header, arrays = unpack(payload(channel="page", point=(7, 11)))
    lens = header["lens"]
    assert header["channel"] == "page"
    assert (lens["height"], lens["width"]) == PICTURES["clean"].shape[:2]
    assert (lens["before"], lens["after"]) == ("noisy", "nlm")
    assert lens["point"] == {"y": 7, "x": 11}
    assert [entry["best"] for entry in lens["pictures"]] == [False, False, False, True, False]
    for entry in lens["pictures"]:
        for kind, known in (("picture", PICTURES), ("noise", NOISES)):
            if entry[kind] is None:
                assert kind == "noise" and entry["key"] not in NOISES
                continue
            seen = np.asarray(Image.open(io.BytesIO(arrays[entry[kind]].tobytes())))
            np.testing.assert_array_equal(seen, known[entry["key"]])


def one(key: str = "a", shape: tuple[int, ...] = (4, 6), **more: Any) -> LensPicture:
    return LensPicture(key, key, "", np.zeros(shape, np.uint8), **more)


@pytest.mark.parametrize(
    ("pictures", "options", "told"),
    [
        ([], {}, "at least one picture"),
        ([one(), one()], {}, "'a' is there twice"),
        ([one(), one("b", (4, 7))], {}, "'b' has 4 x 7 pixels, the first 4 x 6"),
        ([one(noise=np.zeros((3, 6), np.uint8))], {}, "the noise of 'a' has 3 x 6"),
        ([one(shape=(4, 6, 4))], {}, "(H, W) or (H, W, 3)"),
        ([one(shape=(0, 6))], {}, "must have a pixel"),
        ([one(shape=(4097, 2))], {}, "up to 4096 pixels"),
        ([LensPicture("f", "f", "", np.zeros((4, 6), np.float32))], {}, "float32"),  # type: ignore[arg-type]
        ([one()], {"before": "b"}, "no picture 'b'; there are a"),
        ([one()], {"point": (4, 0)}, "outside the pictures of 4 x 6"),
    ],
)
def test_what_cannot_be_compared_is_said(
    pictures: list[LensPicture], options: dict[str, Any], told: str
) -> None:
    with pytest.raises(InvalidView) as caught:
        lens_payload(pictures, noise_note="", **options)
    assert told in str(caught.value)
