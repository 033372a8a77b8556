"""Packs one query in every layer and head into the bytes that the browser draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nlviz.analysis.atlas import HeadMaps, Place
from nlviz.analysis.atlas_figures import FIGURES, figure_of
from nlviz.picture import colour_table, encode, ground_of
from nlviz.views.atlas_tiles import DECADES, Tiles, tiles_of
from nlviz.web.payloads.container import pack

ZOOM = 4  # pixels of the ground for each pixel of a tile
WIDEST = 480  # pixels of the ground
STEPS = 254  # of the colour scale; 0 stands for no key that is reached

Levels = npt.NDArray[np.uint8]


def atlas_payload(
    atlas: HeadMaps,
    *,
    figure: str | None = None,
    smallest: bool = False,
    logarithmic: bool = False,
    names: Mapping[str, str] | None = None,
    shown: tuple[str, int | None] = ("", None),
    channel: str | None = None,
    follows: str | None = None,
) -> bytes:
    """Return the bytes of an atlas.

    Args:
        atlas: whose maps are drawn.
        figure: name of the figure that heads are sorted and coloured by; None for their order.
        smallest: whether the smallest comes first.
        logarithmic: whether the colour scale is logarithmic.
        names: what layers are called, by name of the block; as their blocks where it is None.
        shown: block and head that are on the screen elsewhere; no head for their mean.
        channel: name under which a mounted atlas is found.
        follows: channel of a live view whose pointer it follows in the block that is shown.

    Raises:
        NlvizError: for a figure that is not known.

    >>> import nlviz
    >>> from nlviz.resources import asset
    >>> clip = nlviz.read_clip(asset("photos/coffee.jpg"), size=64)
    >>> found = nlviz.atlas(nlviz.load_model("lite-nl").capture(clip), (0, 20, 30))
    >>> from nlviz.web.payloads.container import unpack
    >>> head, arrays = unpack(atlas_payload(found, figure="effective"))
    >>> [layer["block"] for layer in head["atlas"]["layers"]], arrays["levels0"].dtype.name
    (['stage3', 'stage4'], 'uint8')
    """
    tiles = tiles_of(atlas, logarithmic=logarithmic)
    called = names or {}
    arrays: dict[str, npt.NDArray[Any]] = {
        "table": colour_table("diverging" if tiles.scale.signed else "sequential"),
        "ground": np.frombuffer(_ground(atlas, tiles), np.uint8),
    }
    layers = []
    for number, (layer, told) in enumerate(zip(tiles.layers, atlas.layers, strict=True)):
        arrays[f"levels{number}"] = levels(layer.shares, signed=tiles.scale.signed)
        if layer.apart is not None:
            arrays[f"apart{number}"] = levels(layer.apart, signed=tiles.scale.signed)
        if layer.key_of is not None:
            arrays[f"keys{number}"] = layer.key_of
        row = told.maps[0]
        layers.append(
            {
                "block": told.block,
                "name": called.get(told.block, told.block),
                "heads": told.heads,
                "named": layer.named,
                "own": layer.own,
                "apart": layer.apart is not None,
                "follows": layer.key_of is not None,
                "keys": row.keys.size,
                "values": _texts(atlas, number, figure),
                "lengths": _lengths(atlas, number, figure),
                "tips": [
                    _tip(atlas, Place(number, head), called.get(told.block, told.block))
                    for head in range(told.heads)
                ],
            }
        )
    scale = tiles.scale
    about = {
        "layers": layers,
        "order": None if figure is None else atlas.ordered(figure, smallest=smallest),
        "figure": None if figure is None else figure_of(figure).label,
        "scale": {
            "top": scale.top,
            "floor": scale.top / 10**DECADES if scale.logarithmic else 0,
            "signed": scale.signed,
            "ends": scale.ends,
            "text": "cosine similarity" if scale.alike else "× uniform attention",
        },
        "tile": {"height": tiles.size[0], "width": tiles.size[1], "empty": tiles.empty},
        "frames": len(tiles.frames),
        "shown": {"block": shown[0], "head": shown[1]},
        "follows": follows,
    }
    return pack({"channel": channel, "atlas": about}, arrays)


def levels(shares: npt.NDArray[np.float32], *, signed: bool) -> Levels:
    """Return shares of the colour scale as steps from 1 to 255; 0 where no key is reached.

    >>> levels(np.array([np.nan, 0, 0.5, 1], np.float32), signed=False).tolist()
    [0, 1, 128, 255]
    """
    known = np.nan_to_num(shares)
    steps = np.floor(((known + 1) / 2 if signed else known) * STEPS + 0.5) + 1
    return np.where(np.isnan(shares), 0, steps).astype(np.uint8)


def _ground(atlas: HeadMaps, tiles: Tiles) -> bytes:
    zoom = max(1, min(ZOOM, WIDEST // tiles.size[1]))
    return encode(ground_of(tiles.ground(atlas.capture.clip.frames, zoom)), "jpeg")


def _texts(atlas: HeadMaps, number: int, figure: str | None) -> Sequence[str]:
    """Return a figure of each head of a layer in words; empty without one."""
    if figure is None:
        return []
    heads = range(atlas.layers[number].heads)
    return [figure_of(figure).text(atlas.value(Place(number, head), figure)) for head in heads]


def _lengths(atlas: HeadMaps, number: int, figure: str | None) -> Sequence[float | None]:
    """Return a figure of each head of a layer as a share of the largest of all."""
    if figure is None:
        return []
    every = [atlas.value(place, figure) for place in atlas.places]
    most = max((abs(value) for value in every if value is not None), default=0.0) or 1.0
    own = (atlas.value(Place(number, h), figure) for h in range(atlas.layers[number].heads))
    return [None if value is None else round(abs(value) / most, 4) for value in own]


def _tip(atlas: HeadMaps, place: Place, name: str) -> str:
    """Return every figure of a head in words."""
    said = (
        f"{FIGURES[name].label.lower()} {FIGURES[name].text(value)}"
        for name in atlas.figures
        if (value := atlas.value(place, name)) is not None
    )
    return f"{name}, head {place.head + 1}: {', '.join(said)}"
