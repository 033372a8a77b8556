"""What the tests of the lens share: a browser, and pictures whose every pixel is another."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from nlviz.web.bundle import LENS
from nlviz.web.payloads.lens import LensPicture, lens_payload

HEIGHT, WIDTH = 90, 120
SCALE = 51.0


def coloured(seed: int) -> npt.NDArray[np.uint8]:
    """Return pixels that hold no pattern."""
    return np.random.default_rng(seed).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)


PICTURES = {
    "clean": coloured(1),
    "noisy": coloured(2),
    "mean": coloured(3)[..., 0],
    "nlm": coloured(4),
    "learned": coloured(5),
}
NOISES = {"mean": coloured(6)[..., 1], "nlm": coloured(7), "learned": coloured(8)}


def payload(*, channel: str | None = None, point: tuple[int, int] | None = None) -> bytes:
    """Return a comparison of five pictures, one of them grey, three with method noise."""
    return lens_payload(
        [
            LensPicture(key, key.title(), f"{n}9.5 dB", picture, NOISES.get(key), key == "nlm")
            for n, (key, picture) in enumerate(PICTURES.items())
        ],
        noise_note="Grey is none, white is 51 grey levels.",
        noise_scale=SCALE,
        before="noisy",
        after="nlm",
        channel=channel,
        point=point,
    )


@pytest.fixture(scope="package")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stand-alone page, on disk."""
    file = tmp_path_factory.mktemp("lens") / "lens.html"
    file.write_text(LENS.page(payload(), title="five pictures"), encoding="utf-8")
    return file
