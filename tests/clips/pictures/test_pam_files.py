from __future__ import annotations

import numpy as np
import pytest

from nlviz.clips.clip import read_clip
from nlviz.clips.pictures.pam_files import read_pam
from nlviz.errors import UnreadableClip


def pam(samples: np.ndarray, top: int, comment: bytes = b"") -> bytes:
    height, width, depth = samples.shape
    numbers = (width, height, depth, top)
    head = b"P7\n" + comment + b"WIDTH %d\nHEIGHT %d\nDEPTH %d\nMAXVAL %d\nENDHDR\n" % numbers
    return head + samples.astype("u1" if top < 256 else ">u2").tobytes()


@pytest.mark.parametrize("top", [1, 15, 255, 1000, 4095, 65535])
@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_numbers_keep_their_order_and_their_white(depth: int, top: int) -> None:
    rng = np.random.default_rng(depth)
    samples = rng.integers(0, top + 1, (7, 11, depth))
    if depth in (2, 4):
        samples[..., -1] = top
    clip = read_clip(pam(samples, top, b"# made here\n"))
    colours = samples[..., :3] if depth > 2 else samples[..., :1].repeat(3, -1)
    assert np.abs(clip.frames[0] - colours * (255 / top)).max() <= 1


def test_transparency_lies_on_white() -> None:
    samples = np.array([[[200, 40, 60, 255], [200, 40, 60, 0]]])
    assert read_clip(pam(samples, 255)).frames[0, 0].tolist() == [[200, 40, 60], [255] * 3]


@pytest.mark.parametrize(
    "data",
    [
        b"P7\nENDHDR\n",
        pam(np.zeros((3, 4, 3), int), 255)[:-1],
        pam(np.zeros((3, 4, 5), int), 255),
        b"P7\nWIDTH x\nHEIGHT 2\nDEPTH 3\nMAXVAL 255\nENDHDR\n" + bytes(40),
        b"P7\nWIDTH 100000\nHEIGHT 100000\nDEPTH 3\nMAXVAL 255\nENDHDR\n",
    ],
)
def test_what_is_broken_is_one_sentence(data: bytes) -> None:
    with pytest.raises(UnreadableClip):
        read_pam(data)
