"""Data of the lesson ``paths``: receptive fields, rows on several pictures and at several sizes."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import numpy.typing as npt
from torch import Tensor

import nlviz
from nlviz.families.lite_nl import INPUT
from nlviz.families.reading.adapter import prepare
from nlviz.networks.lite_nl import LiteNL
from nlviz.recipes.lessons.paths_fields import (
    CELL,
    DEPTHS,
    RUNS,
    Network,
    field,
    in_cells,
    layers_of,
    networks,
    plain_field,
    reach,
    squared_gradient,
    width,
)
from nlviz.recipes.lessons.paths_rows import rows_at_sizes, rows_of_pictures
from nlviz.web.payloads.container import pack

CLIPS = ("composed-twins.mp4", "composed-space.mp4", "bunny.mp4")
UNIT = (0, 14, 25)  # frame, row and column at stride 8: the middle of the first of two frames
QUERY = (150.0, 132.0)  # y, x of the row at all sizes, in pixels of the film: a spoon

Arrays = dict[str, npt.NDArray[Any]]


def make() -> bytes:
    """Return the bytes of ``data.safetensors``.

    Its header says of each network which cells of its map its convolutions reach, of the block
    the grid and the scale of its logits, of each size the grid, and how many weights there are.
    """
    model = nlviz.load_model("lite-nl", device="cpu")
    lite = frozen(model)
    arrays: Arrays = {f"plain_{n}": plain_field(n).numpy() for n in DEPTHS}
    fields, maps = measured(networks(lite), two_frames())
    block, rows = rows_of_pictures(model)
    sizes, at_sizes = rows_at_sizes(model, *QUERY)
    kernel = lite.backbone.blocks[4][2].conv_dw.weight[0, 0].numpy()
    head = {
        "depths": DEPTHS,
        "fields": fields,
        "block": block,
        "sizes": sizes,
        "channels": lite.stage4.channels,
        "numbers": numbers(lite),
    }
    return pack(head, {**arrays, **maps, **rows, **at_sizes, "kernel": kernel})


def frozen(model: nlviz.Model) -> LiteNL:
    """Return the network of a model; gradients will be asked of its input alone."""
    for parameter in model.net.parameters():
        parameter.requires_grad_(False)
    return cast(LiteNL, model.net)


def two_frames() -> list[Tensor]:
    """Return the first and the middle frame of each film as lite-nl takes them."""
    found = []
    for name in CLIPS:
        film = nlviz.read_clip(nlviz.bundled_inputs()[name])
        frames = film.frames[[0, len(film.frames) // 2]]
        found.append(prepare(nlviz.Clip.from_frames(frames, name=name), INPUT).tensor)
    return found


def measured(nets: tuple[Network, ...], clips: list[Tensor]) -> tuple[list[dict[str, Any]], Arrays]:
    """Return of each network the cells that its convolutions reach, and its mean squared gradient.

    A map is (2 frames, rows, columns) in cells of 4 x 4 pixels; its sum is 1.
    """
    fields: list[dict[str, Any]] = []
    maps: Arrays = {}
    for net in nets:
        axes = [layers_of(net.modules, size) for size in clips[0].shape[3:]]
        ends = [reach(layers, unit) for layers, unit in zip(axes, UNIT[1:], strict=True)]
        cells = [(first // CELL, last // CELL) for first, last in ends]
        gradient = squared_gradient(net.features, clips, UNIT)
        middle = (sum(ends[0]) / 2, sum(ends[1]) / 2)
        fields.append(
            {
                "name": net.name,
                "field": field(axes[0]),
                "width": width(gradient[0], middle),
                "rows": cells[0],
                "columns": cells[1],
            }
        )
        maps[f"field_{net.name}"] = in_cells(gradient).numpy().astype(np.float32)
    return fields, maps


def numbers(lite: LiteNL) -> dict[str, float]:
    """Return what texts quote: of how many networks and films, and the weights of the block."""
    return {
        "runs": RUNS,
        "deepest": DEPTHS[-1],
        "films": len(CLIPS),
        "block_weights": sum(parameter.numel() for parameter in lite.stage4.parameters()),
    }
