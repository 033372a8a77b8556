"""The object relation module against the paper's equations, written out box by box."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from nlviz.errors import NlvizError
from nlviz.networks.object_relation import (
    ObjectRelation,
    RelationAttend,
    geometry_embedding,
    relative_geometry,
)

BOXES = torch.tensor(
    [[0.0, 0, 9, 7], [0, 20, 5, 31], [30, 2, 44, 9], [28, 3, 40, 60], [1, 1, 4, 5]]
)
CHANNELS, HEADS, KEY, GEOMETRY = 12, 3, 5, 16


def shaken(seed: int = 0) -> ObjectRelation:
    torch.manual_seed(seed)
    block = ObjectRelation(CHANNELS, heads=HEADS, key=KEY, geometry=GEOMETRY)
    for parameter in block.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    return block.double()


@torch.no_grad()
def by_hand(block: ObjectRelation, x: Tensor, boxes: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Return the output and w of each relation, equations (2) to (6), one pair at a time."""
    n = len(x)
    rows, parts = [], []
    for h in range(HEADS):
        keys = slice(h * KEY, (h + 1) * KEY)
        values = slice(h * CHANNELS // HEADS, (h + 1) * CHANNELS // HEADS)
        w = torch.zeros(n, n, dtype=x.dtype)
        for q in range(n):
            for m in range(n):
                query = block.theta.weight[keys] @ x[q] + block.theta.bias[keys]
                key = block.phi.weight[keys] @ x[m] + block.phi.bias[keys]
                told = []
                (t0, l0, b0, r0), (t1, l1, b1, r1) = boxes[q].tolist(), boxes[m].tolist()
                apart = abs((l1 + r1) - (l0 + r0)) / 2, abs((t1 + b1) - (t0 + b0)) / 2
                told = [
                    math.log(max(apart[0] / (r1 - l1), 1e-3)),
                    math.log(max(apart[1] / (b1 - t1), 1e-3)),
                    math.log((r0 - l0) / (r1 - l1)),
                    math.log((b0 - t0) / (b1 - t1)),
                ]
                waves = [1000 ** (k / (GEOMETRY // 8)) for k in range(GEOMETRY // 8)]
                embedded = torch.tensor(
                    [
                        f(100 * v / wave)
                        for v in told
                        for f in (math.sin, math.cos)
                        for wave in waves
                    ],
                    dtype=x.dtype,
                )
                gate = max(0.0, float(block.gate.weight[h] @ embedded + block.gate.bias[h]))
                w[q, m] = gate * math.exp(float(query @ key) / math.sqrt(KEY))
        total = w.sum(1, keepdim=True)
        rows.append(torch.where(total > 0, w / total.clamp(min=1e-300), 0.0))
        parts.append(rows[-1] @ (x @ block.g.weight[values].T + block.g.bias[values]))
    return x + torch.cat(parts, 1), rows


def test_the_module_is_the_paper_s() -> None:
    block, x = shaken(), torch.randn(5, CHANNELS, dtype=torch.double)
    expected, rows = by_hand(block, x, BOXES.double())
    torch.testing.assert_close(block(x, BOXES.double()), expected)
    closed = torch.stack(rows) == 0
    assert bool(closed.any())
    assert not bool(closed.all(-1).any())  # gates are shut, and no box is left alone


def test_geometry_is_that_of_shapes_and_distances_alone() -> None:
    moved = BOXES * 3.5 + 11
    torch.testing.assert_close(relative_geometry(BOXES), relative_geometry(moved))
    mirrored = BOXES[:, [0, 3, 2, 1]] * torch.tensor([1, -1, 1, -1])
    torch.testing.assert_close(relative_geometry(BOXES), relative_geometry(mirrored))


def test_a_box_whose_gates_are_all_closed_gets_nothing_and_breaks_nothing() -> None:
    theta, phi, g = (torch.randn(2, 4, d, dtype=torch.double) for d in (5, 5, 3))
    gate = torch.rand(2, 4, 4, dtype=torch.double)
    gate[0, 1] = 0
    tensors = [t.requires_grad_() for t in (theta, phi, gate, g)]
    y = RelationAttend()(*tensors)
    assert torch.equal(y[0, 1], torch.zeros(3, dtype=torch.double))
    y.sum().backward()
    assert all(bool(t.grad.isfinite().all()) for t in tensors if t.grad is not None)


def test_logits_beyond_the_range_of_exp_are_no_trouble() -> None:
    theta = torch.full((1, 2, 1), 100.0)
    phi = torch.tensor([[[100.0], [99.9]]])
    gate = torch.tensor([[[0.0, 1.0], [1.0, 1.0]]])  # the largest logit is closed
    y = RelationAttend()(theta, phi, gate, torch.tensor([[[7.0], [5.0]]]))
    assert y[0, 0].item() == 5.0
    assert y[0, 1].item() == pytest.approx(7.0, abs=1e-3)


def test_boxes_of_other_pictures_are_not_seen() -> None:
    block, x = shaken(3), torch.randn(5, CHANNELS, dtype=torch.double)
    boxes, picture = BOXES.double(), torch.tensor([0, 0, 1, 1, 0])
    together = block(x, boxes, picture)
    for which in (0, 1):
        own = picture == which
        torch.testing.assert_close(together[own], block(x[own], boxes[own]))
    batch = block(x[:4].unflatten(0, (2, 2)), boxes[:4].unflatten(0, (2, 2)))
    torch.testing.assert_close(batch[0], block(x[:2], boxes[:2]))


def test_the_embedding_has_a_sine_and_a_cosine_of_every_wave() -> None:
    told = geometry_embedding(torch.tensor([[0.5, 0.0, -0.25, 2.0]]), 16)[0]
    assert told[0].item() == pytest.approx(math.sin(50.0), abs=1e-4)
    assert told[1].item() == pytest.approx(math.sin(50.0 / math.sqrt(1000)), abs=1e-5)
    assert told[2].item() == pytest.approx(math.cos(50.0), abs=1e-4)


def test_relations_that_do_not_share_the_channels_are_refused() -> None:
    with pytest.raises(NlvizError, match="5 relations of 12 channels"):
        ObjectRelation(12, heads=5)
