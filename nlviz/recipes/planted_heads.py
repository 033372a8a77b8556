"""A small network whose heads are written by hand, each to do another thing, and clips for it.

A clip is a grid of cells, each a square of pixels of one colour out of 42. In every frame each
colour stands once, so that a cell has exactly one counterpart in every other frame; the colours are
of six kinds, seven of each. One cell of the clip is white instead. The features of a cell are codes
of its colour, of its kind and of its place. The embeddings of each head read those parts that its
name says, more or less loudly, and the others a little:

    head          logits of query i and key j
    matching      high where j has the colour of i
    semantic      high where j is of the kind of i
    content       high where j is of another kind, which the kind of i asks for
    positional    high where j lies where the place of i points at
    sink          high where j is white, whoever asks
    same for all  a number of j alone
    uniform       next to nothing
    itself        high where j has the colour and the place of i
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from torch import Tensor, nn

from nlviz.captures.model import Model
from nlviz.clips.clip import Clip
from nlviz.families.reading.adapter import InputSpec
from nlviz.networks.block import NonLocalBlock
from nlviz.recipes.planted import CELL, WAVES, place_code, pointing

HEADS = (
    "matching", "semantic", "content", "positional", "sink", "same for all", "uniform", "itself",
)  # fmt: skip
SHAPE = (4, 6, 7)  # frames, rows and columns of cells
KINDS, MEMBERS = 6, 7
COLOURS = KINDS * MEMBERS
PLACES = 6 * WAVES
CHANNELS = COLOURS + KINDS + PLACES + 2
NEAR = 0.15  # size of the code of a place: nearby cells are alike, but less than those of a kind
LEVELS = (10, 88, 167, 245)  # of red, green and blue
SHARPNESS = 400.0  # of telling colours, whose squared distance is a tenth or more


def palette() -> npt.NDArray[np.uint8]:
    """Return the 42 colours, (42, 3); those of a kind stand together.

    >>> len(np.unique(palette(), axis=0))
    42
    """
    every = np.array(np.meshgrid(LEVELS, LEVELS, LEVELS)).reshape(3, -1).T
    hue = every @ np.array([1, 4, 16])
    return every[np.argsort(hue % 61, kind="stable")][:COLOURS].astype(np.uint8)


class PlantedHeads(nn.Module):
    """Input: (1, 3, t, h, w) RGB in [0, 1], squares of 4 pixels. Output: logits of six kinds.

    Each head is a non-local block of its own, ``blocks.0`` and so on; all see the same features.

    Args:
        seed: of how loud each head is, of where it points, and of the rest.
        order: what each block does.
        dead: whether what blocks add is zero.

    >>> PlantedHeads(0)(torch.zeros(1, 3, 4, 24, 28)).shape
    torch.Size([1, 6])
    """

    def __init__(self, seed: int, order: tuple[str, ...] = HEADS, *, dead: bool = False) -> None:
        super().__init__()
        self.order = order
        generator = torch.Generator().manual_seed(seed)
        self.cells = nn.AvgPool3d((1, CELL, CELL))
        self.codes = _Codes()
        self.blocks = nn.ModuleList(_block(name, generator, dead) for name in order)
        self.head = nn.Linear(KINDS, KINDS)
        self.eval().requires_grad_(False)

    def forward(self, clips: Float[Tensor, "1 3 t h w"]) -> Float[Tensor, "1 kinds"]:
        """Return logits of the kinds, of what all blocks add."""
        x = self.codes(self.cells(clips))
        added = sum(block(x) - x for block in self.blocks)
        logits: Tensor = self.head(added[:, COLOURS : COLOURS + KINDS].mean((2, 3, 4)))
        return logits


class _Codes(nn.Module):
    """Features of every cell: [colour, kind, place, white, constant]."""

    def __init__(self) -> None:
        super().__init__()
        known = np.vstack([palette(), np.full((1, 3), 255, np.uint8)])
        colours = torch.from_numpy(known).float() / 255
        self.colour = nn.Conv3d(3, COLOURS + 1, 1)
        with torch.no_grad():
            # The softmax of -|c - p|^2: what no colour of the palette shares drops out.
            self.colour.weight.copy_(2 * SHARPNESS * colours[:, :, None, None, None])
            self.colour.bias = nn.Parameter(-SHARPNESS * colours.square().sum(1))
        self.place: Tensor
        self.register_buffer("place", NEAR * place_code(SHAPE))

    def forward(self, cells: Float[Tensor, "1 3 t h w"]) -> Float[Tensor, "1 channels t h w"]:
        shares = self.colour(cells).softmax(1)
        colour, white = shares[:, :COLOURS], shares[:, COLOURS:]
        kind = colour.unflatten(1, (KINDS, MEMBERS)).sum(2)
        return torch.cat([colour, kind, self.place[None], white, torch.ones_like(white)], 1)


def _block(name: str, generator: torch.Generator, dead: bool) -> NonLocalBlock:
    theta, phi = _written(name, generator)
    block = NonLocalBlock(CHANNELS, pairwise="embedded_gaussian", inner=CHANNELS, norm=False)
    value = torch.zeros(CHANNELS, CHANNELS)
    value[:KINDS, COLOURS : COLOURS + KINDS] = torch.eye(KINDS)
    for part, weights in (
        ("theta", theta),
        ("phi", phi),
        ("g", value),
        ("out", torch.zeros_like(value) if dead else value.mT),
    ):
        block.get_parameter(f"{part}.weight").data.copy_(weights[..., None, None, None])
        block.get_parameter(f"{part}.bias").data.zero_()
    return block


def _written(name: str, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return the weights of theta and phi of one head, (channels, channels) each."""

    def between(low: float, high: float) -> float:
        return float(torch.rand((), generator=generator) * (high - low) + low)

    def drawn(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    colour, kind = slice(0, COLOURS), slice(COLOURS, COLOURS + KINDS)
    place, white, one = slice(COLOURS + KINDS, CHANNELS - 2), CHANNELS - 2, CHANNELS - 1
    wave = 3 * WAVES * NEAR**2  # |code of a place|^2
    noise = between(0.1, 0.4)
    by = {"colour": noise, "kind": noise, "place": noise / wave, "key": noise, "white": 0.0}
    asked = torch.eye(KINDS)
    t, h, w = (
        int(torch.randint(-((n - 1) // 2), n // 2 + 1, (), generator=generator)) for n in SHAPE
    )
    offset = t, h, w
    if name == "matching":
        by["colour"] = between(7, 11)
    elif name == "semantic":
        by["kind"] = between(4, 8)
    elif name == "content":
        by["kind"] = between(4, 8)
        asked = asked.roll(int(torch.randint(1, KINDS, (), generator=generator)), 0)
    elif name == "positional":
        by["place"] = between(6, 11) / wave
        offset = offset if any(offset) else (1, 0, 0)
    elif name == "sink":
        by["white"] = between(7, 10)
    elif name == "same for all":
        by["key"] = between(1.2, 2.0)
    elif name == "uniform":
        by |= {"colour": noise / 4, "kind": noise / 4, "place": noise / 4 / wave, "key": noise / 4}
    elif name == "itself":
        by |= {"colour": between(7, 9), "place": between(7, 9) / wave}
        offset = (0, 0, 0)
    theta, phi = torch.zeros(CHANNELS, CHANNELS), torch.zeros(CHANNELS, CHANNELS)
    theta[colour, colour], phi[colour, colour] = (
        torch.eye(COLOURS),
        by["colour"] * torch.eye(COLOURS),
    )
    theta[kind, kind], phi[kind, kind] = asked, by["kind"] * torch.eye(KINDS)
    theta[place, place], phi[place, place] = (
        pointing(SHAPE, offset),
        by["place"] * torch.eye(PLACES),
    )
    theta[one, one] = 1.0
    phi[one, colour] = by["key"] * drawn(COLOURS)
    phi[one, place] = by["key"] * drawn(PLACES) / (NEAR * math.sqrt(PLACES / 2))
    phi[one, white] = by["white"]
    return theta, phi


def planted_heads(seed: int, *, dead: bool = False) -> Model:
    """Return a network with planted heads in an order by chance; ``net.order`` says which.

    Args:
        seed: of the order, and of all that is drawn.
        dead: whether the branch adds nothing.
    """
    order = tuple(np.random.default_rng(seed).permutation(HEADS).tolist())
    t, h, w = SHAPE
    spec = InputSpec(
        sides=(h * CELL, w * CELL), frames=t, mean=(0.0,) * 3, std=(255.0,) * 3, white=255
    )
    return Model(PlantedHeads(seed, order, dead=dead), input_spec=spec)


def clip_of_cells(seed: int) -> Clip:
    """Return a clip in each frame of which every colour stands once, somewhere.

    >>> clip_of_cells(0).shape
    (4, 24, 28)
    """
    t, h, w = SHAPE
    rng = np.random.default_rng(seed)
    frames = np.stack([palette()[rng.permutation(COLOURS)].reshape(h, w, 3) for _ in range(t)])
    frames[rng.integers(t), rng.integers(h), rng.integers(w)] = 255
    return Clip.from_frames(frames.repeat(CELL, 1).repeat(CELL, 2), name=f"cells {seed}")
