"""The colours behind words: read on light paper, on dark paper, and beside pictures.

The table is that of all maps. On light paper the strongest is the darkest, on dark paper the
lightest; beside pictures colours are as over these. The live view has the same rules.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
import numpy.typing as npt

from nlviz.picture import colour_table, ground_of
from nlviz.render.text_drawing import Colour

Pixels = npt.NDArray[np.uint8]
Steps = npt.NDArray[np.intp]

READABLE = 5.0  # contrast of ink and ground below which the other ink may serve better
_BLACK, _WHITE = (0, 0, 0), (255, 255, 255)


@dataclass(frozen=True)
class Paper:
    """What words stand on.

    Attributes:
        name: ``light``, ``dark`` or ``film``, beside pictures.
        rgb: its colour.
    """

    name: Literal["light", "dark", "film"]
    rgb: Colour

    @property
    def ink(self) -> Colour:
        """The colour of words without a weight."""
        return _BLACK if self.name == "light" else _WHITE


LIGHT = Paper("light", (255, 255, 255))
DARK = Paper("dark", (20, 23, 29))


@cache
def film_paper() -> Paper:
    """Return what lies under words beside pictures: mid-grey as it looks below a map."""
    red, green, blue = (int(v) for v in ground_of(np.full((1, 1, 3), 128, np.uint8))[0, 0])
    return Paper("film", (red, green, blue))


@cache
def word_colours(paper: Paper, *, signed: bool, strength: float) -> tuple[Pixels, Pixels]:
    """Return the ground and the ink of a word for each of 256 steps of the scale, (256, 3) RGB.

    Args:
        paper: what words stand on.
        signed: whether the scale lies around zero.
        strength: opacity of the strongest weight, in [0, 1].

    >>> ground, ink = word_colours(LIGHT, signed=False, strength=1.0)
    >>> ground[[0, 255]].tolist(), ink[[0, 255]].tolist()
    ([[255, 255, 255], [0, 0, 4]], [[0, 0, 0], [255, 255, 255]])
    """
    table = _ordered(paper, signed).astype(np.float64)
    opacity = np.floor(strength * table[:, 3:] + 0.5) / 255
    ground = np.floor(opacity * table[:, :3] + (1 - opacity) * np.array(paper.rgb) + 0.5)
    light = _luminance(ground)
    own, other = (1.0, 0.0) if paper.ink == _WHITE else (0.0, 1.0)
    turned = (_contrast(light, own) < READABLE) & (_contrast(light, other) > _contrast(light, own))
    inks = np.where(turned[:, None], np.subtract(255, paper.ink), paper.ink)
    return ground.astype(np.uint8), inks.astype(np.uint8)


def steps_of(shares: npt.NDArray[np.float32], *, signed: bool) -> Steps:
    """Return the step of the scale of each share, from 0 to 255.

    >>> steps_of(np.array([0.0, 1.0, 2.0], np.float32), signed=False).tolist()
    [0, 255, 255]
    """
    v = np.clip(np.nan_to_num(shares), -1.0 if signed else 0.0, 1.0)
    return np.floor(((v + 1) / 2 if signed else v) * 255 + 0.5).astype(np.intp)


def _ordered(paper: Paper, signed: bool) -> Pixels:
    """Return the colours of the table in the order in which they are laid on a paper."""
    table = colour_table("diverging" if signed else "sequential")
    as_it_is = paper.name == "film" or (paper.name == "light") == signed
    if as_it_is:
        return table
    step = np.arange(256)
    if signed:  # its ends are dark: each side runs from its saturated part to a light one
        side = np.floor(85 - 0.5 * np.minimum(step, 255 - step) + 0.5).astype(np.intp)
        source = np.where(step < 128, side, 255 - side)
    else:
        source = 255 - step
    out = table.copy()
    out[:, :3] = table[source, :3]
    return out


def _luminance(rgb: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return relative luminance as WCAG 2 has it."""
    level = rgb / 255
    linear = np.where(rgb <= 10, level / 12.92, ((level + 0.055) / 1.055) ** 2.4)
    return np.asarray(linear @ np.array([0.2126, 0.7152, 0.0722]))


def _contrast(light: npt.NDArray[np.float64], other: float) -> npt.NDArray[np.float64]:
    return (np.maximum(light, other) + 0.05) / (np.minimum(light, other) + 0.05)
