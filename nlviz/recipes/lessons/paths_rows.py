"""Rows of lite-nl for the lesson ``paths``: on pictures that change, and at sizes that change.

The rows are those of the block ``stage4`` on single pictures. The weights of the network stay as
they are throughout; all that changes is its input.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
import numpy.typing as npt

import nlviz
from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.families.lite_nl import INPUT
from nlviz.picture import Picture, encode

BLOCK = "stage4"
BRIGHTER = 40  # levels of 255
SIZES = tuple(range(64, 641, 32))  # shorter sides in pixels

Arrays = dict[str, npt.NDArray[Any]]


def pictures() -> dict[str, Picture]:
    """Return the picture of the lesson and what it is changed to, 360 x 640 each, by name."""
    twins, space = (
        nlviz.read_clip(nlviz.bundled_inputs()[f"composed-{name}.mp4"]).frames
        for name in ("twins", "space")
    )
    brighter = np.minimum(twins[0].astype(np.int16) + BRIGHTER, 255).astype(np.uint8)
    return {"first": twins[0], "brighter": brighter, "later": twins[48], "other": space[40]}


def captured(model: nlviz.Model, picture: Picture, size: int = INPUT.size) -> EmbeddedAffinity:
    """Return the block's affinity on one picture, whose shorter side becomes this many pixels."""
    clip = nlviz.Clip.from_frames(picture[None], name="picture")
    at_size = nlviz.Model(model.net, adapter=model.adapter, input_spec=replace(INPUT, size=size))
    return cast(EmbeddedAffinity, at_size.capture(clip).affinities[BLOCK])


def rows_of_pictures(model: nlviz.Model) -> tuple[dict[str, Any], Arrays]:
    """Return theta and phi of each picture, and the pictures themselves as JPEG."""
    arrays: Arrays = {}
    about: dict[str, Any] = {}
    for name, picture in pictures().items():
        affinity = captured(model, picture)
        _, rows, columns = affinity.queries.shape
        arrays[f"theta_{name}"] = affinity.theta[0].numpy().astype(np.float16)
        arrays[f"phi_{name}"] = affinity.phi[0].numpy().astype(np.float16)
        arrays[f"picture_{name}"] = np.frombuffer(encode(picture, "jpeg", quality=80), np.uint8)
        about = {"rows": rows, "columns": columns, "scale": float(affinity.pairwise.scale)}
    return about, arrays


def rows_at_sizes(
    model: nlviz.Model, y: float, x: float, sizes: Sequence[int] = SIZES
) -> tuple[list[dict[str, Any]], Arrays]:
    """Return the row of one place of the first picture at every size.

    Returns:
        The grids and the query's cell in each, and the weights.
    """
    found: list[dict[str, Any]] = []
    arrays: Arrays = {}
    picture = pictures()["first"]
    for size in sizes:
        affinity = captured(model, picture, size)
        _, rows, columns = affinity.queries.shape
        attention = affinity.map(frame=0, y=y, x=x)
        arrays[f"row_{size}"] = attention.weights[0].astype(np.float32)
        query = affinity.queries.nearest(frame=0, y=y, x=x)
        found.append(
            {"size": size, "rows": rows, "columns": columns, "query": divmod(query, columns)}
        )
    return found, arrays
