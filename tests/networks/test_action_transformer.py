"""The head of the Video Action Transformer against sums that are written out."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from nlviz.affinity.grid import Axis
from nlviz.networks.action_transformer import (
    ActionTransformer,
    ActionTransformerHead,
    BoxAttention,
    Found,
    QueryOfBox,
)
from nlviz.networks.trunk_cells import features_cells

CHANNELS, LOCATION, WIDTH = 5, 6, 8
SHAPE = (3, 4, 7)  # slices, rows, columns


@pytest.fixture
def head() -> ActionTransformerHead:
    torch.manual_seed(0)
    found = ActionTransformerHead(CHANNELS, width=WIDTH, location=LOCATION)
    found.mean.normal_()
    found.deviation.uniform_(0.5, 2)
    return found.eval()


def test_folded_projections_are_those_that_are_written_out() -> None:
    torch.manual_seed(1)
    attention = BoxAttention(WIDTH, CHANNELS, LOCATION, heads=2)
    queries = torch.randn(2, 9, WIDTH)
    features, where = torch.randn(2, CHANNELS, *SHAPE), torch.randn(LOCATION, *SHAPE)
    found = attention(queries, features, where)
    places = where.flatten(1).expand(2, -1, -1)
    cells = torch.cat([features.flatten(2), places], 1).mT  # (2, 84, 11)
    wanted = []
    for head in range(2):
        own = slice(4 * head, 4 * head + 4)
        q = attention.query(queries)[..., own]
        k, v = attention.key(cells)[..., own], attention.value(cells)[..., own]
        wanted.append((q @ k.mT / math.sqrt(4)).softmax(-1) @ v)
    assert torch.allclose(found, torch.cat(wanted, -1), atol=1e-6)


def test_layers_follow_the_paper(head: ActionTransformerHead) -> None:
    torch.manual_seed(2)
    features = torch.randn(1, CHANNELS, *SHAPE)
    boxes = torch.tensor([[[1, 0.5, 1.0, 3.0, 4.5], [2, 0.0, 0.0, 2.0, 2.0]]])
    seen: list[Tensor] = []
    head.readout.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    head(features, boxes)
    x, where = head.standardised(features), head.where(features)
    queries = head.queries(x, where, boxes)
    for layer in head.layers:
        q, k, v = layer.attention.embed(queries, x, where)  # type: ignore[operator, union-attr]
        gathered = ((q @ k.mT / 2).softmax(-1) @ v).transpose(1, 2).flatten(2)
        queries = layer.first_norm(queries + gathered)  # type: ignore[operator]
        queries = layer.second_norm(queries + layer.feed_forward(queries))  # type: ignore[operator]
    assert torch.allclose(seen[0], queries, atol=1e-5)


def test_a_box_of_whole_cells_is_pooled_to_their_mean(head: ActionTransformerHead) -> None:
    where = torch.zeros(LOCATION, *SHAPE)
    seen: list[Tensor] = []
    head.query.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    slope = torch.arange(7.0).expand(1, CHANNELS, *SHAPE)  # a cell's value is its column
    boxes = torch.tensor([[[1, 1.0, 2.0, 3.0, 5.0], [0, 0.0, 1.0, 1.0, 3.0]]])
    head.queries(slope, where, boxes)
    pooled = seen[0][:, :CHANNELS].mean((1, 2, 3))
    # Columns 2 to 4 have their middle at column 3; columns 1 and 2 at 1.5.
    assert pooled.tolist() == pytest.approx([3.0, 1.5], abs=1e-5)
    constant = torch.full((1, CHANNELS, *SHAPE), 2.5)
    head.queries(constant, where, torch.tensor([[[2, 0.0, 0.0, 4.0, 7.0]]]))
    assert torch.allclose(seen[1][:, :CHANNELS], torch.full((1, CHANNELS, 7, 7), 2.5))


def test_the_slice_of_a_box_is_that_of_its_frame(head: ActionTransformerHead) -> None:
    features = torch.zeros(1, CHANNELS, *SHAPE)
    features[:, :, 2] = 1
    where = torch.zeros(LOCATION, *SHAPE)
    seen: list[Tensor] = []
    head.query.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    head.queries(features, where, torch.tensor([[[2, 0, 0, 4, 7], [1, 0, 0, 4, 7.0]]]))
    assert seen[0][0, :CHANNELS].min() == 1 and seen[0][1, :CHANNELS].max() == 0


def test_both_preprocessings_of_a_query_have_their_width() -> None:
    cells = torch.randn(3, CHANNELS, 7, 7)
    low, high = (QueryOfBox(CHANNELS, WIDTH, kind) for kind in ("low", "high"))  # type: ignore[arg-type]
    assert low(cells).shape == high(cells).shape == (3, WIDTH)
    mixed = cells.flatten(2)[..., torch.randperm(49)].unflatten(2, (7, 7))
    assert torch.allclose(low(cells), low(mixed), atol=1e-5)
    assert not torch.allclose(high(cells), high(mixed), atol=1e-3)  # it keeps where things are


def test_the_answer_is_around_the_most_probable_cell() -> None:
    places = torch.full((1, 1, 2, 5, 9), -30.0)
    places[0, 0, 0, 3, 7] = places[0, 0, 1, 0, 0] = 30
    places[0, 0, 1, 0, 1] = 30
    size = torch.tensor([[[[0.4, 0.5], [0.2, 1.0]]]])
    boxes = Found(places, size, torch.zeros(1, 1, 2)).boxes()[0, 0]
    assert boxes[0].tolist() == pytest.approx([3.5 - 1, 7.5 - 2.25, 3.5 + 1, 7.5 + 2.25])
    assert boxes[1].tolist() == pytest.approx([0.5 - 0.5, 1.0 - 4.5, 0.5 + 0.5, 1.0 + 4.5])


class Padded(nn.Module):
    """A trunk that pads in front alone, so that its cells lie off the middle of their squares."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv3d(3, CHANNELS, (2, 4, 4), stride=(2, 4, 4))

    def forward(self, clip: Tensor) -> Tensor:
        found: Tensor = self.conv(nn.functional.pad(clip, (2, 0, 2, 0, 0, 0)))
        return found


def test_boxes_are_pooled_where_the_trunks_cells_lie() -> None:
    torch.manual_seed(4)
    trunk = Padded()
    clip = torch.randn(1, 3, 6, 22, 30)
    cells = features_cells(trunk, clip)
    assert (cells.t, cells.y, cells.x) == (Axis(2.0, 0.5), Axis(4.0, -0.5), Axis(4.0, -0.5))
    net = ActionTransformer(trunk, ActionTransformerHead(CHANNELS, width=WIDTH, location=LOCATION))
    # Cell 2 is centred at 7.5: pixels [6, 10) are its own. Frame 4 is in slice 2.
    asked = torch.tensor([[4.0, 6, 10, 10, 18]])
    assert net.in_cells(asked, net.cells(clip)).tolist() == [[2, 2, 3, 3, 5]]
    declared = ActionTransformer(trunk, net.head, cells=(Axis(2.0, 0.5), Axis(4.0, 1.5), Axis(4.0)))
    assert declared.cells(clip).y == Axis(4.0, 1.5) and declared.cells(clip).shape == (3, 6, 8)


def test_a_trunk_that_cannot_be_followed_is_measured() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv3d(3, CHANNELS, (1, 8, 8), stride=(1, 8, 8))

        def forward(self, clip: Tensor) -> Tensor:
            found: Tensor = self.conv(clip) * torch.fft.fft(clip).abs().mean()
            return found

    torch.manual_seed(5)
    cells = features_cells(Scaled(), torch.zeros(1, 3, 2, 48, 64))
    assert cells.y.stride == pytest.approx(8, abs=0.1) and cells.y.origin == pytest.approx(
        3.5, abs=1
    )
    assert cells.off[1] > 0
