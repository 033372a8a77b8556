"""The object relation module: attention between boxes, appearance times geometry.

Hu, Gu, Zhang, Dai and Wei, "Relation Networks for Object Detection", CVPR 2018, arXiv 1711.11575,
equations (2) to (6), written from the paper. With queries n and keys m,

    w_mn = w_G exp(w_A) / sum_k w_G exp(w_A) = softmax_m(w_A + log w_G)
    w_A  = W_Q f_n . W_K f_m / sqrt(d_k)                 appearance
    w_G  = max(0, W_G . E(box_m, box_n))                 geometry, a gate: 0 is not attended at all
    f_n' = f_n + concat over relations of sum_m w_mn W_V f_m

code                paper
``theta``, ``phi``  W_Q f_n, W_K f_m
``gate``            w_G
``heads``           relations, N_r
"""

from __future__ import annotations

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor, nn

from nlviz.errors import NlvizError

NEAREST = 1e-3  # of a side: nearer centres count as this far apart, as their logarithm must end
LONGEST_WAVE = 1000.0
STRETCH = 100.0  # of the angles; this and the longest wave as in the authors' code


class RelationAttend(nn.Module):
    """Rows times values from appearance and geometry, without parameters.

    It is a module of its own so that a hook on it sees theta, phi, the gate, g and y as they are.
    """

    def forward(
        self,
        theta: Float[Tensor, "*batch heads boxes d"],
        phi: Float[Tensor, "*batch heads boxes d"],
        gate: Float[Tensor, "*batch heads boxes boxes"],
        g: Float[Tensor, "*batch heads boxes dv"],
    ) -> Float[Tensor, "*batch heads boxes dv"]:
        """Return y; a box whose gates are all closed gets nothing, where the paper has 0 / 0."""
        appearance = theta @ phi.mT * theta.shape[-1] ** -0.5
        open_ones = gate > 0
        highest = appearance.masked_fill(~open_ones, -torch.inf).amax(-1, keepdim=True)
        highest = highest.where(highest.isfinite(), 0.0).detach()
        # What is closed stays out of exp, which its logit might overflow.
        f = gate * (appearance - highest).where(open_ones, 0.0).exp()
        total = f.sum(-1, keepdim=True)
        y: Tensor = (f / total.where(total > 0, 1.0)) @ g
        return y


class ObjectRelation(nn.Module):
    """The object relation module: boxes look at boxes; the identity when fresh.

    Args:
        channels: of a box's features, d_f.
        heads: number of relations, N_r; divides ``channels``.
        key: dimension of keys and queries, d_k.
        geometry: dimension of the geometry embedding, d_g, a multiple of 8.

    >>> boxes = torch.tensor([[0.0, 0, 9, 7], [0, 20, 5, 31], [30, 2, 44, 9]])
    >>> block = ObjectRelation(12, heads=3, key=5)
    >>> x = torch.randn(3, 12)
    >>> block(x, boxes).shape, torch.equal(block(x, boxes), x)
    (torch.Size([3, 12]), True)
    """

    def __init__(
        self, channels: int, *, heads: int = 16, key: int = 64, geometry: int = 64
    ) -> None:
        super().__init__()
        if channels % heads or geometry % 8:
            raise NlvizError(
                "relations share the channels evenly, and a geometry embedding has 4 numbers with "
                f"sines and cosines: {heads} relations of {channels} channels, {geometry} numbers"
            )
        self.channels, self.heads, self.key, self.geometry = channels, heads, key, geometry
        self.theta = nn.Linear(channels, heads * key)
        self.phi = nn.Linear(channels, heads * key)
        self.g = nn.Linear(channels, channels)
        self.gate = nn.Linear(geometry, heads)
        self.attend = RelationAttend()
        nn.init.zeros_(self.g.weight)
        nn.init.zeros_(self.g.bias)
        # Gates begin open: a closed one has no gradient and would stay closed.
        nn.init.normal_(self.gate.weight, std=0.01)
        nn.init.ones_(self.gate.bias)

    def forward(
        self,
        x: Float[Tensor, "*batch boxes channels"],
        boxes: Float[Tensor, "*batch boxes 4"],
        picture: Int[Tensor, "*batch boxes"] | None = None,
    ) -> Float[Tensor, "*batch boxes channels"]:
        """Return the features of all boxes with what they get from others added.

        Args:
            x: a box's features.
            boxes: (top, left, bottom, right), in pixels, half-open.
            picture: the picture that each box lies in, where there are several; boxes of different
                pictures do not see each other.
        """
        gate = self.gates(boxes)
        if picture is not None:
            same = picture[..., :, None] == picture[..., None, :]
            gate = gate * same[..., None, :, :]
        y = self.attend(*self._embedded(x), gate, self._split(self.g(x)))
        given: Tensor = rearrange(y, "... heads boxes d -> ... boxes (heads d)")
        return x + given

    def gates(
        self, boxes: Float[Tensor, "*batch boxes 4"]
    ) -> Float[Tensor, "*batch heads boxes boxes"]:
        """Return w_G of every query box (row) and key box (column)."""
        told = geometry_embedding(relative_geometry(boxes), self.geometry)
        gate: Tensor = self.gate(told).movedim(-1, -3)
        return gate.relu()

    def _embedded(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self._split(self.theta(x)), self._split(self.phi(x))

    def _split(self, x: Tensor) -> Float[Tensor, "*batch heads boxes d"]:
        return rearrange(x, "... boxes (heads d) -> ... heads boxes d", heads=self.heads)


def relative_geometry(
    boxes: Float[Tensor, "*batch boxes 4"],
) -> Float[Tensor, "*batch boxes boxes 4"]:
    """Return how every query box (row) lies to each key box (column); shifts and zooms keep it.

    The numbers are log |x_m - x_n| / w_m, log |y_m - y_n| / h_m, log w_n / w_m and log h_n / h_m of
    query n and key m. Distances have no sign: left and right of a box are alike.

    Args:
        boxes: (top, left, bottom, right), in pixels.

    >>> told = relative_geometry(torch.tensor([[0.0, 0, 10, 10], [20, 0, 30, 20]]))
    >>> told[0, 1].exp()
    tensor([0.2500, 2.0000, 0.5000, 1.0000])
    """
    top, left, bottom, right = boxes.unbind(-1)
    sides = torch.stack([right - left, bottom - top], -1).clamp(min=NEAREST)
    middles = torch.stack([left + right, top + bottom], -1) / 2
    of_key = sides[..., None, :, :]
    away = (middles[..., None, :, :] - middles[..., :, None, :]).abs() / of_key
    ratios = sides[..., :, None, :] / of_key
    return torch.cat([away.clamp(min=NEAREST).log(), ratios.log()], -1)


def geometry_embedding(told: Float[Tensor, "*pairs 4"], size: int) -> Float[Tensor, "*pairs size"]:
    """Return the sines and cosines of numbers at wavelengths from 1 to 1000, as for positions.

    After Vaswani et al. 2017, arXiv 1706.03762, section 3.5, which the paper names.

    >>> geometry_embedding(torch.zeros(3, 4), 16).shape
    torch.Size([3, 16])
    """
    count = size // 8
    wave = LONGEST_WAVE ** (torch.arange(count, dtype=told.dtype, device=told.device) / count)
    angle = STRETCH * told[..., None] / wave
    return torch.cat([angle.sin(), angle.cos()], -1).flatten(-2)


def gate_logits(gate: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
    """Return log w_G, what a gate adds to the logits; -inf where it is closed.

    >>> gate_logits(torch.tensor([1.0, 0.0]))
    tensor([0., -inf])
    """
    return gate.clamp(min=0).log()
