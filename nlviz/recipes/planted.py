"""Small networks whose attention is written by hand, so that it is known what a row follows from.

Every cell is a square of pixels of one colour. Its features are a code of the colour, a code of the
place, a mark where it is white, and a constant. The embeddings of the one block read those parts
that a plan says, and no others; the head reads one cell, and all that it learns of others comes
through the block.

    plan.rule    logits of query i and key j
    content      high where the colour of j is the one that the colour of i asks for
    position     high where j lies where the place of i points at
    same         a number of j alone, by its colour and place; none is far above the rest
    sink         high where j carries the mark, whoever asks
    uniform      next to nothing
    fresh        what a fresh block draws; its output starts at zero, as in most codes
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from nlviz.networks.block import NonLocalBlock

CELL = 4  # pixels
COLOURS = np.array(
    [(220, 40, 40), (40, 180, 60), (50, 80, 230), (220, 200, 50),
     (180, 60, 200), (40, 200, 210), (240, 140, 40), (90, 90, 90)], np.uint8,
)  # fmt: skip
MANY = len(COLOURS)
MARK = np.array((255, 255, 255), np.uint8)  # of the cell that is a sink
WAVES = 4  # cosines for each axis in the code of a place

Rule = Literal["content", "position", "same", "sink", "uniform", "fresh"]
Path = Literal["only", "closed", "elsewhere", "three"]
Build = Literal["block", "attention"]


@dataclass(frozen=True)
class Plan:
    """How a network is written.

    Attributes:
        rule: what rows follow from, see above.
        path: how the head comes by what the block gives. ``only``: it reads the cell of the query,
            and nothing else. ``closed``: W_z is zero. ``elsewhere``: it reads another cell.
            ``three``: the block has two copies, and the middle one of the three is taken at every
            number, so that no single one is needed.
        build: a ``NonLocalBlock`` over all cells, or multi-head attention with a register.
        shape: frames, rows and columns of cells.
        query: the cell that is asked about, flat.
        gain: how high the logits of the rule are.
        nuisance: how high those of the other rules are; they are drawn by chance.
        pairwise: of a block.
        seed: of all that is drawn.
        gives: whether a sink has a value, or none.
    """

    rule: Rule
    path: Path = "only"
    build: Build = "block"
    shape: tuple[int, int, int] = (3, 6, 7)
    query: int = 0
    gain: float = 9.0
    nuisance: float = 0.3
    pairwise: Literal["embedded_gaussian", "dot_product"] = "embedded_gaussian"
    seed: int = 0
    gives: bool = True


class Planted(nn.Module):
    """Input: (1, 3, t, h, w) RGB in [0, 1], squares of 4 pixels. Output: logits of eight colours.

    >>> plan = Plan("content", shape=(2, 3, 5), query=7)
    >>> Planted(plan)(torch.zeros(1, 3, 2, 12, 20)).shape
    torch.Size([1, 8])
    """

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self.plan = plan
        generator = torch.Generator().manual_seed(plan.seed)
        self.cells = nn.AvgPool3d((1, CELL, CELL))
        self.codes = _Codes(plan.shape)
        self.asks, self.answers = _written(plan, self.codes.channels, generator)
        self.asked = plan.query if plan.path != "elsewhere" else _far_from(plan)
        if plan.build == "block":
            self.nl: nn.Module = _block(plan, self.codes.channels, self.asks, self.answers)
        else:
            self.nl = _Attention(plan, self.codes.channels, self.asks, self.answers)
        if plan.path == "three":
            self.second, self.third = (
                _block(plan, self.codes.channels, self.asks, self.answers) for _ in range(2)
            )
        self.head = nn.Linear(MANY, MANY)
        with torch.no_grad():
            self.head.weight.copy_(6 * torch.eye(MANY))
            self.head.bias.copy_(0.2 * torch.randn(MANY, generator=generator))
        self.eval().requires_grad_(False)

    def forward(self, clips: Float[Tensor, "1 3 t h w"]) -> Float[Tensor, "1 colours"]:
        """Return logits, which follow from what the block adds at the cell that the head reads."""
        x = self.codes(self.cells(clips))
        added = self.nl(x) - x
        if self.plan.path == "three":
            both = (self.second(x) - x, self.third(x) - x)
            added = torch.stack([added, *both]).median(0).values
        read = added[:, :MANY].flatten(2)[..., self.asked]
        logits: Tensor = self.head(read)
        return logits


class _Codes(nn.Module):
    """Features of every cell: [answer (empty), colour, place, mark, constant]."""

    def __init__(self, shape: tuple[int, int, int]) -> None:
        super().__init__()
        palette = torch.from_numpy(np.vstack([COLOURS, MARK])).float() / 255
        self.colour = nn.Conv3d(3, MANY + 1, 1)
        with torch.no_grad():
            # The softmax of -|c - p|^2: what no colour of the palette shares drops out.
            self.colour.weight.copy_(60 * 2 * palette[:, :, None, None, None])
            self.colour.bias = nn.Parameter(-60 * palette.square().sum(1))
        self.place: Tensor
        self.register_buffer("place", place_code(shape))
        self.channels = 2 * MANY + len(self.place) + 2

    def forward(self, cells: Float[Tensor, "1 3 t h w"]) -> Float[Tensor, "1 channels t h w"]:
        shares = self.colour(cells).softmax(1)
        place, one = self.place[None], torch.ones_like(cells[:, :1])
        empty = torch.zeros_like(shares[:, :MANY])
        return torch.cat([empty, shares[:, :MANY], place, shares[:, MANY:], one], 1)


def place_code(shape: tuple[int, int, int]) -> Float[Tensor, "code t h w"]:
    """Return cosines and sines of t, y and x whose product depends on the offset alone.

    >>> place_code((2, 3, 5)).shape
    torch.Size([24, 2, 3, 5])
    """
    out = []
    for axis, size in enumerate(shape):
        at = torch.arange(size).float().reshape([-1 if a == axis else 1 for a in range(3)])
        for wave in range(1, WAVES + 1):
            angle = (2 * math.pi * wave / (2 * max(size, 2)) * at).expand(shape)
            out += [angle.cos(), angle.sin()]
    return torch.stack(out)


def pointing(shape: tuple[int, int, int], offset: tuple[int, int, int]) -> Tensor:
    """Return the (code, code) turn that makes the code of a place that of the place it asks for."""
    turn = torch.zeros(6 * WAVES, 6 * WAVES)
    at = 0
    for size, step in zip(shape, offset, strict=True):
        for wave in range(1, WAVES + 1):
            angle = 2 * math.pi * wave / (2 * max(size, 2)) * step
            c, s = math.cos(angle), math.sin(angle)
            turn[at : at + 2, at : at + 2] = torch.tensor([[c, -s], [s, c]])
            at += 2
    return turn


def _written(
    plan: Plan, channels: int, generator: torch.Generator
) -> tuple[Float[Tensor, "d channels"], Float[Tensor, "d channels"]]:
    """Return the weights of theta and phi that the plan says."""
    codes = 6 * WAVES
    colour, place = slice(MANY, 2 * MANY), slice(2 * MANY, 2 * MANY + codes)
    mark, one = 2 * MANY + codes, 2 * MANY + codes + 1
    d = MANY + codes + 2
    theta, phi = torch.zeros(d, channels), torch.zeros(d, channels)
    of_colour, of_place, unary = slice(0, MANY), slice(MANY, MANY + codes), MANY + codes

    def drawn(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    if plan.rule == "fresh":
        bound = channels**-0.5
        for weights in (theta, phi):
            weights.copy_((torch.rand(weights.shape, generator=generator) * 2 - 1) * bound)
        return theta, phi
    wanted = torch.eye(MANY)[torch.randperm(MANY, generator=generator)]
    offset = tuple(
        int(torch.randint(-((n - 1) // 2), n // 2 + 1, (), generator=generator)) for n in plan.shape
    )
    turn = pointing(plan.shape, offset)  # type: ignore[arg-type]
    n = plan.nuisance
    by_colour, by_place, by_key = n, n / math.sqrt(3 * WAVES), n
    by_mark = 0.0
    if plan.rule == "content":
        by_colour = plan.gain
    elif plan.rule == "position":
        by_place = plan.gain / 4
    elif plan.rule == "sink":
        by_mark = plan.gain + math.log(math.prod(plan.shape))
    elif plan.rule == "same":
        by_key = plan.gain / 8
    elif plan.rule == "uniform":
        by_colour, by_place, by_key = n / 8, n / 8 / math.sqrt(3 * WAVES), n / 8
    theta[of_colour, colour], phi[of_colour, colour] = wanted, by_colour * torch.eye(MANY)
    theta[of_place, place], phi[of_place, place] = turn, by_place * torch.eye(codes)
    theta[unary, one] = 1.0
    phi[unary, colour] = by_key * drawn(MANY)
    phi[unary, place] = by_key * drawn(codes) / math.sqrt(codes / 2)
    phi[unary, mark] = by_mark
    return theta, phi


def _value(plan: Plan, channels: int) -> Float[Tensor, "colours channels"]:
    """Return the weights of g: the colour; of a sink that gives, one colour for the mark."""
    g = torch.zeros(MANY, channels)
    g[:, MANY : 2 * MANY] = torch.eye(MANY)
    if plan.rule == "sink" and plan.gives:
        g[plan.seed % MANY, 2 * MANY + 6 * WAVES] = 1.0
    return g


def _out(plan: Plan, channels: int) -> Float[Tensor, "channels colours"]:
    out = torch.zeros(channels, MANY)
    if plan.path != "closed" and plan.rule != "fresh":
        out[:MANY] = torch.eye(MANY)
    return out


def _block(plan: Plan, channels: int, theta: Tensor, phi: Tensor) -> NonLocalBlock:
    block = NonLocalBlock(channels, pairwise=plan.pairwise, inner=len(theta), norm=False)
    pad = (0, 0, 0, len(theta) - MANY)
    with torch.no_grad():
        for name, weights in (
            ("theta", theta),
            ("phi", phi),
            ("g", F.pad(_value(plan, channels), pad)),
            # A dot product is divided by the number of keys: W_z makes up for it.
            ("out", F.pad(_out(plan, channels), (0, len(theta) - MANY))
             * (8.0 if plan.pairwise == "dot_product" else 1.0)),
        ):  # fmt: skip
            block.get_parameter(f"{name}.weight").copy_(weights[..., None, None, None])
            block.get_parameter(f"{name}.bias").zero_()
    return block


class _Attention(nn.Module):
    """Two heads over a register and all cells, of which the second looks about evenly."""

    def __init__(self, plan: Plan, channels: int, theta: Tensor, phi: Tensor) -> None:
        super().__init__()
        self.heads, d = 2, len(theta)
        self.register = nn.Parameter(torch.zeros(1, 1, channels))
        with torch.no_grad():
            if plan.rule == "sink":  # the register is the sink in place of a marked cell
                self.register[..., -2] = 1.0
        self.q, self.k = (nn.Linear(channels, 2 * d, bias=False) for _ in range(2))
        self.v, self.o = (
            nn.Linear(channels, 2 * MANY, bias=False),
            nn.Linear(2 * MANY, channels, bias=False),
        )
        with torch.no_grad():
            value = _value(plan, channels)
            for linear, weights in ((self.q, theta), (self.k, phi), (self.v, value)):
                linear.weight.copy_(weights.repeat(2, 1))
            self.k.weight.mul_(math.sqrt(d))
            self.o.weight.copy_(_out(plan, channels).repeat(1, 2) / 2)

    def forward(self, x: Float[Tensor, "1 channels t h w"]) -> Float[Tensor, "1 channels t h w"]:
        tokens = torch.cat([self.register, x.flatten(2).mT], 1)
        q, k, v = (
            linear(tokens).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for linear in (self.q, self.k, self.v)
        )
        y = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        added: Tensor = self.o(y)[:, 1:].mT.reshape(x.shape)
        return x + added


def _far_from(plan: Plan) -> int:
    return (plan.query + math.prod(plan.shape) // 2 + 1) % math.prod(plan.shape)


def painted(plan: Plan) -> npt.NDArray[np.uint8]:
    """Return (t, h, w, 3) frames of the plan's clip: colours by chance, in patches of a few cells.

    >>> painted(Plan("content", shape=(2, 3, 5))).shape
    (2, 12, 20, 3)
    """
    rng = np.random.default_rng(plan.seed + 1)
    t, h, w = plan.shape
    cells = COLOURS[rng.integers(0, MANY, (t, h, w))]
    if plan.rule == "sink" and plan.build == "block":
        at = rng.integers(0, t * h * w)
        at = at if at != plan.query else (at + 1) % (t * h * w)
        cells.reshape(-1, 3)[at] = MARK
    return cells.repeat(CELL, 1).repeat(CELL, 2)
