"""The head of the Video Action Transformer: a box asks every cell of a clip's features.

Girdhar, Carreira, Doersch and Zisserman 2019, "Video Action Transformer Network", CVPR,
arXiv 1812.02707. Written from the paper. What it calls the trunk is any module that makes
(1, C, T', H', W') of a clip; a box is RoI-pooled from its frame's slice of that and becomes a
query; keys and values are linear projections of *all* T' H' W' cells, with where and when they are
embedded beside them; 2 heads x 3 layers, each the attention

    A(q) = softmax(q K^T / sqrt(d)) V,   q' = LN(q + A(q)),   q'' = LN(q' + FFN(q'))

Two things are not as in the paper. Its location embedding is one network of place and one of time,
whose outputs are projected linearly: of a sum over cells nobody can tell which frame a place was
in. Here one network embeds all three (``LocationEmbedding``). And where the paper classifies a
person's action, the readout here says where the boxed object is in every frame
(``PlaceReadout``); a ``readout`` of your own takes its place.
"""

from __future__ import annotations

import math
from typing import Any, Literal, NamedTuple

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import roi_align

from nlviz.affinity.grid import Axis
from nlviz.networks.places import Cells
from nlviz.networks.trunk_cells import features_cells

Axes = tuple[Axis, Axis, Axis]  # of frames, rows and columns

POOLED = 7  # cells to a side that a box is pooled to
REDUCED = 16  # channels of each of them, of a query that keeps them apart
OCTAVES = 4


class LocationEmbedding(nn.Module):
    """Embeds where and when cells are: (t, y, x), each in [-1, 1], to (width,).

    >>> LocationEmbedding(6)(torch.zeros(5, 3)).shape
    torch.Size([5, 6])
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(6 * OCTAVES, 4 * width)
        self.out = nn.Linear(4 * width, width)
        self.norm = nn.LayerNorm(width)

    def forward(self, at: Float[Tensor, "*any 3"]) -> Float[Tensor, "*any width"]:
        """Embed places."""
        found: Tensor = self.norm(self.out(F.relu(self.hidden(waves(at)))))
        return found


class QueryOfBox(nn.Module):
    """Makes the query of a box of its pooled cells, (n, channels, 7, 7) to (n, width).

    Args:
        channels: of the cells.
        width: of the query.
        resolution: ``low`` takes the mean of the cells; ``high`` reduces each of them and keeps
            where it is in the box.

    >>> QueryOfBox(5, 8, "high")(torch.zeros(3, 5, 7, 7)).shape
    torch.Size([3, 8])
    """

    def __init__(self, channels: int, width: int, resolution: Literal["low", "high"]) -> None:
        super().__init__()
        self.reduce: nn.Module
        if resolution == "high":
            self.reduce = nn.Conv2d(channels, REDUCED, 1)
            self.out = nn.Linear(REDUCED * POOLED * POOLED, width)
        else:
            self.reduce = nn.AdaptiveAvgPool2d(1)
            self.out = nn.Linear(channels, width)
        self.norm = nn.LayerNorm(width)

    def forward(self, cells: Float[Tensor, "n channels 7 7"]) -> Float[Tensor, "n width"]:
        """Return queries."""
        found: Tensor = self.norm(self.out(self.reduce(cells).flatten(1)))
        return found


class BoxAttention(nn.Module):
    """Attention of boxes to all cells of a clip, of several heads.

    Args:
        width: of queries and of keys, all heads side by side.
        channels: of the cells' features.
        location: of what says where the cells are.
        heads: how many.

    >>> attention = BoxAttention(8, 5, 6, heads=2)
    >>> attention(torch.zeros(1, 3, 8), torch.zeros(1, 5, 2, 4, 7), torch.zeros(6, 2, 4, 7)).shape
    torch.Size([1, 3, 8])
    """

    def __init__(self, width: int, channels: int, location: int, *, heads: int) -> None:
        super().__init__()
        self.heads, self.channels = heads, channels
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(channels + location, width)
        self.value = nn.Linear(channels + location, width)

    def forward(
        self,
        queries: Float[Tensor, "batch n width"],
        features: Float[Tensor, "batch channels t h w"],
        where: Float[Tensor, "location t h w"],
    ) -> Float[Tensor, "batch n width"]:
        """Return the weighted sums of the cells' values, heads side by side.

        Boxes are few and cells are many, so both projections are taken to the side of the boxes:
        q . (W_k m + b) is (W_k^T q) . m and something that a row's softmax takes out again, and
        rows times (W_v m + b) are W_v (rows times m) + b. ``embed`` has them as they are written.
        """
        d = self.query.out_features // self.heads
        cells, places = features.flatten(2), where.flatten(1)
        q = rearrange(self.query(queries), "batch n (heads d) -> batch heads n d", d=d)
        to_keys = rearrange(self.key.weight, "(heads d) c -> heads d c", d=d)
        folded = (q @ to_keys).flatten(1, 2) / math.sqrt(d)
        of_features, of_places = folded.split([self.channels, len(where)], -1)
        rows = (of_features @ cells + of_places @ places).softmax(-1)
        sums = torch.cat([rows @ cells.mT, rows @ places.mT], -1)
        sums = rearrange(sums, "batch (heads n) c -> batch heads n c", heads=self.heads)
        to_values = rearrange(self.value.weight, "(heads d) c -> heads c d", d=d)
        gathered = rearrange(sums @ to_values, "batch heads n d -> batch n (heads d)")
        found: Tensor = gathered + self.value.bias
        return found

    def embed(
        self,
        queries: Float[Tensor, "batch n width"],
        features: Float[Tensor, "batch channels t h w"],
        where: Float[Tensor, "location t h w"],
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries, keys and values, (batch, heads, n or cells, d)."""
        places = where.flatten(1).expand(len(features), -1, -1)
        cells = torch.cat([features.flatten(2), places], 1).mT
        q, k, v = (
            rearrange(x, "batch n (heads d) -> batch heads n d", heads=self.heads)
            for x in (self.query(queries), self.key(cells), self.value(cells))
        )
        return q, k, v


class ActionTransformerLayer(nn.Module):
    """One layer: attention, then a feed-forward network, each added and normalised.

    The arguments are those of ``BoxAttention``; ``dropout`` is of what is added, in training.

    >>> layer = ActionTransformerLayer(8, 5, 6, heads=2)
    >>> layer(torch.zeros(1, 3, 8), torch.zeros(1, 5, 2, 4, 7), torch.zeros(6, 2, 4, 7)).shape
    torch.Size([1, 3, 8])
    """

    def __init__(
        self, width: int, channels: int, location: int, *, heads: int, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.attention = BoxAttention(width, channels, location, heads=heads)
        self.first_norm = nn.LayerNorm(width)
        self.feed_forward = nn.Sequential(
            nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width)
        )
        self.second_norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        queries: Float[Tensor, "batch n width"],
        features: Float[Tensor, "batch channels t h w"],
        where: Float[Tensor, "location t h w"],
    ) -> Float[Tensor, "batch n width"]:
        """Return the queries with what they gathered."""
        gathered = self.attention(queries, features, where)
        queries = self.first_norm(queries + self.dropout(gathered))
        found: Tensor = self.second_norm(queries + self.dropout(self.feed_forward(queries)))
        return found


class Found(NamedTuple):
    """Where a boxed object is in every frame, as a readout says it.

    Attributes:
        places: logits of its middle over the cells of each frame.
        size: its height and width in each frame, as shares of the frame's.
        seen: a logit of whether it shows there.
    """

    places: Float[Tensor, "batch n t h w"]
    size: Float[Tensor, "batch n t 2"]
    seen: Float[Tensor, "batch n t"]

    def boxes(self) -> Float[Tensor, "batch n t 4"]:
        """Return top, left, bottom and right in cells: around the most probable cell of each frame.

        The middle is the mean of the 3 x 3 cells around it, weighted by their probabilities.
        """
        h, w = self.places.shape[-2:]
        flat = self.places.flatten(-2)
        best = flat.argmax(-1, keepdim=True)
        cell = torch.arange(h * w, device=flat.device)
        y, x = cell // w, cell % w
        near = ((y - best // w).abs() <= 1) & ((x - best % w).abs() <= 1)
        share = flat.masked_fill(~near, -torch.inf).softmax(-1)
        middle = torch.stack([(share * (y + 0.5)).sum(-1), (share * (x + 0.5)).sum(-1)], -1)
        half = self.size * torch.tensor([h, w], device=flat.device) / 2
        return torch.cat([middle - half, middle + half], -1)


class PlaceReadout(nn.Module):
    """Says of every query where its object is in each frame, and whether it shows there.

    It sees the query and the location embedding of the cells alone, no feature of any of them: what
    it knows of the other frames has come through the attention. A cell's logit is the product of
    its embedding and what is made of the query.

    >>> found = PlaceReadout(8, 6)(torch.zeros(1, 3, 8), torch.zeros(6, 2, 4, 5))
    >>> found.places.shape, found.boxes().shape
    (torch.Size([1, 3, 2, 4, 5]), torch.Size([1, 3, 2, 4]))
    """

    def __init__(self, width: int, location: int) -> None:
        super().__init__()
        self.straight = nn.Linear(width, location)
        self.bent = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, location))
        self.of_frame = nn.Sequential(
            nn.Linear(width + 2 * OCTAVES, width), nn.ReLU(), nn.Linear(width, 3)
        )

    def forward(
        self, queries: Float[Tensor, "batch n width"], where: Float[Tensor, "location t h w"]
    ) -> Found:
        """Return where the objects are."""
        wanted = self.straight(queries) + self.bent(queries)
        places = torch.einsum("bnl,lthw->bnthw", wanted, where) / math.sqrt(len(where))
        batch, n, _ = queries.shape
        t = where.shape[1]
        when = waves(middles(t, queries)[:, None]).expand(batch, n, t, -1)
        rest = self.of_frame(torch.cat([queries[:, :, None].expand(-1, -1, t, -1), when], -1))
        return Found(places, rest[..., :2].sigmoid(), rest[..., 2])


def waves(at: Float[Tensor, "*any axes"]) -> Float[Tensor, "*any waves"]:
    """Return sines and cosines of coordinates in [-1, 1], of 4 octaves each."""
    angles = at[..., None] * (math.pi / 2 * 2.0 ** torch.arange(OCTAVES, device=at.device))
    return torch.cat([angles.sin(), angles.cos()], -1).flatten(-2)


class ActionTransformerHead(nn.Module):
    """The head alone: features of a clip and boxes in, what the readout says of each box out.

    Args:
        channels: of the trunk's features.
        width: of queries, keys and values, all heads together.
        heads: of each layer.
        layers: how many.
        location: width of the location embedding beside the features.
        resolution: how a box becomes a query, see ``QueryOfBox``.
        dropout: in training, of what is added to a query.
        readout: takes queries (batch, n, width) and the location embedding of the cells
            (location, t, h, w); by default a ``PlaceReadout``.

    >>> head = ActionTransformerHead(5, width=8, location=6)
    >>> boxes = torch.tensor([[[0, 1.0, 1.0, 3.0, 2.5]]])
    >>> head(torch.zeros(1, 5, 2, 4, 3), boxes).places.shape
    torch.Size([1, 1, 2, 4, 3])
    """

    def __init__(
        self,
        channels: int,
        *,
        width: int = 128,
        heads: int = 2,
        layers: int = 3,
        location: int = 96,
        resolution: Literal["low", "high"] = "low",
        dropout: float = 0.0,
        readout: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.mean: Tensor
        self.deviation: Tensor
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("deviation", torch.ones(channels))
        self.location = LocationEmbedding(location)
        self.query = QueryOfBox(channels + location, width, resolution)
        self.layers: Any = nn.ModuleList(
            ActionTransformerLayer(width, channels, location, heads=heads, dropout=dropout)
            for _ in range(layers)
        )
        self.readout = PlaceReadout(width, location) if readout is None else readout

    def forward(
        self, features: Float[Tensor, "batch channels t h w"], boxes: Float[Tensor, "batch n 5"]
    ) -> Any:
        """Return what the readout says of each box.

        Args:
            features: of the trunk.
            boxes: slice, top, left, bottom, right of each, in cells of the features: cell m reaches
                from m to m + 1.
        """
        features = self.standardised(features)
        where = self.where(features)
        queries = self.queries(features, where, boxes)
        for layer in self.layers:
            queries = layer(queries, features, where)
        return self.readout(queries, where)

    def standardised(
        self, features: Float[Tensor, "batch channels t h w"]
    ) -> Float[Tensor, "batch channels t h w"]:
        """Return features less ``mean``, over ``deviation``, which a recipe sets per channel."""
        mean, deviation = (x.reshape(-1, 1, 1, 1) for x in (self.mean, self.deviation))
        return (features - mean) / deviation

    def where(
        self, features: Float[Tensor, "batch channels t h w"]
    ) -> Float[Tensor, "location t h w"]:
        """Return the location embedding of each cell."""
        along = [middles(n, features) for n in features.shape[2:]]
        at = torch.stack(torch.meshgrid(*along, indexing="ij"), dim=-1)
        found: Tensor = self.location(at).permute(3, 0, 1, 2)
        return found

    def queries(
        self,
        features: Float[Tensor, "batch channels t h w"],
        where: Float[Tensor, "location t h w"],
        boxes: Float[Tensor, "batch n 5"],
    ) -> Float[Tensor, "batch n width"]:
        """Return the query of each box, pooled from its slice."""
        batch, n, _ = boxes.shape
        t = features.shape[2]
        slices = rearrange(features, "batch channels t h w -> (batch t) channels h w")
        which = boxes[..., :1].round().clamp(0, t - 1)
        in_batch = which + torch.arange(batch, device=boxes.device)[:, None, None] * t
        edges = boxes[..., [2, 1, 4, 3]]  # roi_align counts x before y

        def pooled(x: Tensor, index: Tensor) -> Tensor:
            rois = torch.cat([index, edges], -1).flatten(0, 1).to(x)
            found: Tensor = roi_align(x, rois, POOLED, sampling_ratio=2, aligned=True)
            return found

        both = [pooled(slices, in_batch), pooled(where.transpose(0, 1), which)]
        found: Tensor = self.query(torch.cat(both, 1))
        return found.reshape(batch, n, -1)


def middles(n: int, like: Tensor) -> Float[Tensor, " n"]:
    """Return the middles of n equal parts of [-1, 1].

    >>> middles(4, torch.zeros(1))
    tensor([-0.7500, -0.2500,  0.2500,  0.7500])
    """
    return (torch.arange(n, device=like.device, dtype=like.dtype) * 2 + 1) / n - 1


class ActionTransformer(nn.Module):
    """A Video Action Transformer: a trunk, and a head whose queries are boxes.

    Args:
        trunk: makes (1, C, T', H', W') of a clip (1, channels, T, H, W).
        head: of that many channels.
        cells: where the trunk's cells lie in its input; by default they are found by running it on
            positions, or measured where it cannot be followed (``features_cells``).

    >>> trunk = nn.Conv3d(3, 5, (2, 8, 8), stride=(2, 8, 8))
    >>> net = ActionTransformer(trunk, ActionTransformerHead(5, width=8, location=6)).eval()
    >>> clip = torch.zeros(1, 3, 4, 32, 48)
    >>> net(clip, torch.tensor([[2.0, 8, 8, 24, 20]])).boxes().shape
    torch.Size([1, 1, 2, 4])
    >>> net.cells(clip).y
    Axis(stride=8.0, origin=3.5)
    """

    def __init__(
        self, trunk: nn.Module, head: ActionTransformerHead, *, cells: Axes | None = None
    ) -> None:
        super().__init__()
        self.trunk, self.head = trunk, head
        self._axes = cells
        self._found: dict[tuple[int, ...], Cells] = {}

    def forward(self, clip: Float[Tensor, "1 channels t h w"], boxes: Float[Tensor, "n 5"]) -> Any:
        """Return what the readout says of each box.

        Args:
            clip: as the trunk takes it.
            boxes: frame, top, left, bottom, right of each, in frames and pixels of ``clip``; edges,
                as pixel (y, x) covers [y, y + 1) and [x, x + 1).
        """
        features = self.trunk(clip)
        return self.head(features, self.in_cells(boxes, self.cells(clip))[None])

    def cells(self, clip: Float[Tensor, "1 channels t h w"]) -> Cells:
        """Return where the trunk's cells lie in a clip of this shape; it is remembered."""
        size = tuple(clip.shape[1:])
        if size not in self._found:
            found = features_cells(self.trunk, clip)
            if self._axes is not None:
                t, y, x = self._axes
                found = Cells(found.shape, t, y, x)
            self._found[size] = found
        return self._found[size]

    @staticmethod
    def in_cells(boxes: Float[Tensor, "n 5"], cells: Cells) -> Float[Tensor, "n 5"]:
        """Return boxes in slices and cells of the features, where cell m covers [m, m + 1).

        The slice is the one whose frame is nearest.
        """
        slices = cells.t.nearest(boxes[:, 0].detach().cpu().numpy(), cells.shape[0])
        edges = [
            (boxes[:, i] - 0.5 - axis.origin) / axis.stride + 0.5
            for i, axis in ((1, cells.y), (2, cells.x), (3, cells.y), (4, cells.x))
        ]
        return torch.stack([torch.from_numpy(slices).to(boxes), *edges], 1)
