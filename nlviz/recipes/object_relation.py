"""Trains the bundled object relation network: ``python -m nlviz.recipes.object_relation``.

Scenes of tiles on a plain ground are made here, so that the truth is known: every tile has one
other tile of its colour and one that it is stacked with, never the same. The network says the marks
of both. A few minutes on one CPU core. The weights and their card go to the folder that is named;
``--scene FILE`` draws an example.
"""

from __future__ import annotations

import argparse
import colorsys
import copy
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float, Int
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from nlviz.files.local import digest_of
from nlviz.networks.object_relation import gate_logits
from nlviz.networks.tile_relations import HEADS, MARKS, TileRelations, tile_pixels

VERSION = 1
NAME = "object-relation.tiles"
PAGE = (240, 384)  # height and width of a scene in pixels
SLOTS = (2, 4)  # rows and columns of places for stacks
GROUND = (236, 238, 240)
WHITE = (255, 255, 255)
APART = 0.11  # least distance of two colours' hues, of a whole turn
PARTNERS = ("colour", "stack")


@dataclass(frozen=True)
class Plan:
    """How the network is trained.

    Attributes:
        seed: of weights and scenes.
        steps: of the optimiser.
        batch: scenes of a step.
        rate: learning rate of Adam at the start; a cosine takes it to 0.
    """

    seed: int = 0
    steps: int = 3000
    batch: int = 32
    rate: float = 2e-3


@dataclass(frozen=True)
class Scene:
    """Tiles and what is true of them.

    Attributes:
        boxes: (n, 4) top, left, bottom, right in pixels.
        colours: (n, 3) RGB.
        marks: (n,) the cell of 2 x 3 of the tile that is white.
        partners: (n, 2) the other tile of the colour, and of the stack.
    """

    boxes: npt.NDArray[np.int64]
    colours: npt.NDArray[np.uint8]
    marks: npt.NDArray[np.int64]
    partners: npt.NDArray[np.int64]


def scene(rng: np.random.Generator, *, stacks: int | None = None) -> Scene:
    """Return a random scene of 3 to 5 stacks of two tiles.

    >>> found = scene(np.random.default_rng(0), stacks=3)
    >>> found.boxes.shape, bool((found.partners[found.partners[:, 0], 0] == np.arange(6)).all())
    ((6, 4), True)
    """
    m = int(rng.integers(3, 6)) if stacks is None else stacks
    rows, columns = SLOTS
    high, wide = PAGE[0] // rows, PAGE[1] // columns
    boxes = []
    for slot in rng.permutation(rows * columns)[:m]:
        h, w = int(rng.integers(22, 42)), int(rng.integers(30, 64))
        gap = int(rng.integers(4, 7))
        top = int(rng.integers(6, high - 2 * h - gap - 6)) + high * int(slot // columns)
        left = int(rng.integers(6, wide - w - 6)) + wide * int(slot % columns)
        boxes += [
            (top, left, top + h, left + w),
            (top + h + gap, left, top + 2 * h + gap, left + w),
        ]
    n = 2 * m
    stacked = np.arange(n) ^ 1
    alike = stacked
    while (alike == stacked).any():
        order = rng.permutation(n).reshape(-1, 2)
        alike = np.empty(n, np.int64)
        alike[order[:, 0]], alike[order[:, 1]] = order[:, 1], order[:, 0]
    colours = np.empty((n, 3), np.uint8)
    for (a, b), hue in zip(order, _hues(rng, m), strict=True):
        tone = hue, float(rng.uniform(0.55, 0.9)), float(rng.uniform(0.45, 0.85))
        for tile in (a, b):
            own = (tone[0] + float(rng.normal(0, 0.006))) % 1.0, *tone[1:]
            colours[tile] = np.round(255 * np.array(colorsys.hsv_to_rgb(*own)))
    return Scene(
        np.array(boxes), colours, rng.integers(MARKS, size=n), np.stack([alike, stacked], 1)
    )


def _hues(rng: np.random.Generator, count: int) -> list[float]:
    hues: list[float] = []
    while len(hues) < count:
        hue = float(rng.uniform())
        if all(min((hue - other) % 1, (other - hue) % 1) >= APART for other in hues):
            hues.append(hue)
    return hues


def drawn(found: Scene) -> npt.NDArray[np.uint8]:
    """Return the picture of a scene, (H, W, 3) RGB."""
    page = np.full((*PAGE, 3), GROUND, np.uint8)
    for box, colour, mark in zip(found.boxes, found.colours, found.marks, strict=True):
        top, left, bottom, right = box.tolist()
        page[top:bottom, left:right] = colour
        h, w = bottom - top, right - left
        row, column = divmod(int(mark), 3)
        y0, y1 = (top + round(h * (row + share) / 2) for share in (0.2, 0.8))
        x0, x1 = (left + round(w * (column + share) / 3) for share in (0.2, 0.8))
        page[y0:y1, x0:x1] = WHITE
    return page


class Tiles(NamedTuple):
    """What the network takes, of scenes side by side, and what is true."""

    pixels: Float[Tensor, "tiles 3 side side"]
    boxes: Float[Tensor, "tiles 4"]
    picture: Int[Tensor, " tiles"]
    marks: Int[Tensor, " tiles"]
    partners: Int[Tensor, "tiles 2"]


def tiles_of(scenes: Sequence[Scene]) -> Tiles:
    """Return scenes as the network takes them, all in one."""
    first = np.cumsum([0, *(len(s.boxes) for s in scenes[:-1])])
    return Tiles(
        torch.cat([tile_pixels(drawn(s), s.boxes) for s in scenes]),
        torch.from_numpy(np.concatenate([s.boxes for s in scenes])).float(),
        torch.from_numpy(np.repeat(np.arange(len(scenes)), [len(s.boxes) for s in scenes])),
        torch.from_numpy(np.concatenate([s.marks for s in scenes])),
        torch.from_numpy(
            np.concatenate([s.partners + at for s, at in zip(scenes, first, strict=True)])
        ),
    )


def train(plan: Plan) -> TileRelations:
    """Return a trained network."""
    torch.manual_seed(plan.seed)
    net = TileRelations()
    rng = np.random.default_rng([plan.seed, 1])
    optimiser = torch.optim.Adam(net.parameters(), plan.rate)
    wave = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, plan.steps)
    for _ in range(plan.steps):
        stacks = int(rng.integers(3, 6))  # one number of tiles in a batch
        tiles = tiles_of([scene(rng, stacks=stacks) for _ in range(plan.batch)])
        apart = (plan.batch, 2 * stacks)
        pixels, boxes = (x.reshape(*apart, *x.shape[1:]) for x in (tiles.pixels, tiles.boxes))
        scores = net(pixels, boxes).flatten(0, 1)
        loss = F.cross_entropy(scores.flatten(0, 1), tiles.marks[tiles.partners].flatten())
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        wave.step()
    return net.eval()


@torch.no_grad()
def measure(net: TileRelations, *, scenes: int = 150, seed: int = 1000) -> dict[str, Any]:
    """Return how a network does on scenes that it never saw.

    Returns:
        ``accuracy`` of both answers, and once more ``without`` one of the two terms: appearance
        alike for all tiles, or all gates open at 1. Of each of the ``relations``, the mean weight
        on both partners and on the tile itself, by both terms and by each alone, and the share of
        gates that are closed.
    """
    rng = np.random.default_rng([seed, 2])
    tiles = tiles_of([scene(rng) for _ in range(scenes)])
    theta, phi, gate = _seen(net, tiles)
    same = tiles.picture[:, None] == tiles.picture[None]
    apart = torch.zeros(same.shape).masked_fill(~same, -torch.inf)
    logits = theta @ phi.mT * theta.shape[-1] ** -0.5
    rows = {
        "both": (logits + gate_logits(gate)).softmax(-1).nan_to_num(0.0),
        "appearance": (logits + apart).softmax(-1),
        "geometry": gate_logits(gate).softmax(-1).nan_to_num(0.0),
    }
    every = torch.arange(len(same))
    others = {**dict(zip(PARTNERS, tiles.partners.T, strict=True)), "itself": every}
    relations = [
        {
            **{
                term: {who: _share(row[head, every, at]) for who, at in others.items()}
                for term, row in rows.items()
            },
            "closed gates": _share(gate[head][same] == 0),
        }
        for head in range(HEADS)
    ]
    without = {}
    for term in ("appearance", "geometry"):
        cut = copy.deepcopy(net)
        module = cut.relation.theta if term == "appearance" else cut.relation.gate
        nn.init.zeros_(module.weight)
        nn.init.constant_(module.bias, 0.0 if term == "appearance" else 1.0)
        without[term] = _accuracy(cut, tiles)
    return {
        "scenes": scenes,
        "of a guess": round(1 / MARKS, 4),
        "accuracy": _accuracy(net, tiles),
        "without": without,
        "relations": relations,
    }


def _seen(net: TileRelations, tiles: Tiles) -> tuple[Tensor, ...]:
    """Return theta, phi and gate as they enter the module's product."""
    kept: list[Tensor] = []
    hook = net.relation.attend.register_forward_hook(lambda module, args, y: kept.extend(args))
    net(tiles.pixels, tiles.boxes, tiles.picture)
    hook.remove()
    return tuple(kept[:3])


def _accuracy(net: TileRelations, tiles: Tiles) -> dict[str, float]:
    found = net(tiles.pixels, tiles.boxes, tiles.picture).argmax(-1)
    right = found == tiles.marks[tiles.partners]
    return {who: _share(of) for who, of in zip(PARTNERS, right.T, strict=True)}


def _share(values: Tensor) -> float:
    return round(float(values.float().mean()), 4)


def card(weights: Path, plan: Plan, figures: dict[str, Any]) -> dict[str, Any]:
    """Return what is to be known of the weights file."""
    return {
        "name": NAME,
        "file": weights.name,
        "sha256": digest_of(weights),
        "recipe": f"nlviz.recipes.object_relation {VERSION}",
        "seed": plan.seed,
        "steps": plan.steps,
        "command": "python -m nlviz.recipes.object_relation --out DIR",
        "architecture": f"two linear layers for each tile, one object relation module of {HEADS} "
        "relations (Hu et al. 2018), two linear layers for each tile",
        "input": "a drawing of tiles on a ground of one colour; tiles are found as what differs "
        "from the ground, and seen at 12 x 12 pixels",
        "objective": "cross-entropy of two marks at every tile: that of the other tile of its "
        "colour, and that of the tile it is stacked with",
        "saw": f"scenes made by the recipe: {plan.steps} steps of {plan.batch}; no photographs",
        "validation": figures,
        "learned": "which relations look by appearance and which by geometry the figures say; "
        "without appearance the colour's answer falls to a guess and that of the stack stays, "
        "without geometry that of the stack falls",
        "limits": "tiles as the recipe draws them: 6 to 10 in pairs of one hue. It names nothing "
        "and detects nothing; other drawings give boxes and relations that mean nothing",
        "meant for": "showing appearance and geometry apart in an attention between boxes whose "
        "truth is known",
        "licence": "Apache-2.0",
    }


def write(net: TileRelations, plan: Plan, out: Path) -> dict[str, Any]:
    """Write the weights and their card; return the card."""
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{NAME}.safetensors"
    about = {"recipe": f"nlviz.recipes.object_relation {VERSION}", "seed": str(plan.seed)}
    save_file({k: v.contiguous() for k, v in net.state_dict().items()}, path, about)
    told = card(path, plan, measure(net))
    path.with_suffix(".json").write_text(json.dumps(told, indent=1) + "\n", "utf-8")
    return told


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the recipe from the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m nlviz.recipes.object_relation", description=__doc__
    )
    parser.add_argument("--out", type=Path, default=Path(), metavar="DIR")
    parser.add_argument("--scene", type=Path, metavar="FILE", help="draw an example and stop")
    for name in ("seed", "steps"):
        parser.add_argument(f"--{name}", type=int, default=getattr(Plan, name))
    given = parser.parse_args(arguments)
    if given.scene is not None:
        found = scene(np.random.default_rng([given.seed, 3]), stacks=5)
        Image.fromarray(drawn(found)).save(given.scene)
        return
    plan = Plan(seed=given.seed, steps=given.steps)
    told = write(train(plan), plan, given.out)
    print(json.dumps(told["validation"], indent=1))


if __name__ == "__main__":
    main()
