"""An attribution over its clip, and how far it agrees with where a block reads, in words."""

from __future__ import annotations

from dataclasses import dataclass

from nlviz.affinity.attention_map import AttentionMap
from nlviz.analysis.attribution import Attribution
from nlviz.render.colour_scale import ColourScale
from nlviz.render.frame_maps import Look
from nlviz.render.overlay import Overlay
from nlviz.words.attribution import (
    METHOD_MEANINGS,
    METHOD_NAMES,
)


@dataclass(frozen=True)
class AttributionScale(ColourScale):
    """A colour scale with a name of its own."""

    name: str = ""

    @property
    def title(self) -> str:
        """What the colour bar shows."""
        return self.name


def attribution_overlay(found: Attribution, *, strength: float = 0.85) -> Overlay:
    """Lay an attribution over its clip, with its own colour scale; zero is its middle.

    >>> import numpy as np
    >>> from nlviz.clips.clip import Clip
    >>> from nlviz.affinity.grid import TokenGrid
    >>> clip = Clip.from_frames(np.zeros((1, 24, 40, 3), np.uint8))
    >>> values = np.linspace(-1, 2, 15, dtype=np.float32).reshape(1, 3, 5)
    >>> grid = TokenGrid((1, 3, 5), (1, 8, 8), (0, 3.5, 3.5))
    >>> found = Attribution("occlusion", clip, "b", 0, "cat", 1.0, values, grid, 16, 0.1)
    >>> attribution_overlay(found).look.scale.ends
    ('-1.20', '>1.20')
    """
    name = METHOD_NAMES[found.method]
    attention = AttentionMap(
        found.values,
        found.grid.centre(0),
        found.grid,
        signed=found.signed,
        normalised=False,
        choices=1,
        title=f"{name} for {found.label}",
        name=name,
        values="attribution",
    )
    hi = attention.top_of_scale()
    most, least = float(found.values.max()), float(found.values.min())
    units = {"grad-cam": "no unit", "legrad": "score for a row's whole weight"}
    unit = units.get(found.method, "in units of the score")
    scale = AttributionScale(
        -hi if found.signed else 0.0, hi, attention.uniform, "absolute", most, least,
        name=f"{name}, {unit}",
    )  # fmt: skip
    at = f" at what enters {found.block}" if found.method == "grad-cam" else ""
    return Overlay(
        found.clip,
        attention,
        Look(scale, strength=strength, marked=False),
        title=f"{found.clip.name} · {name} for {found.label}{at}",
        about=f"{METHOD_MEANINGS[found.method]}; not where a block reads",
    )
