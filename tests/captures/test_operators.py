"""Effective operators against the operator itself, found by one value after another."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import nlviz
from nlviz.captures.model import Model
from nlviz.families.reading.attention_adapter import AttentionAdapter
from tests.captures.operator_forms import HEADS, LOCAL, Form, H, OperatorNet, W, dense
from tests.nets import noise_clip

T = 2
CLIP = noise_clip(T, 4 * H, 4 * W)
SPEC = nlviz.InputSpec(sides=(4 * H, 4 * W), layout="frames")


def net_of(form: Form, **options: bool) -> OperatorNet:
    torch.manual_seed(1)
    return OperatorNet(form, **options).eval()


def model_of(net: nn.Module) -> Model:
    return Model(net, adapter=AttentionAdapter(), input_spec=SPEC)


def wanted(net: OperatorNet, model: Model) -> Tensor:
    """Return the rows of all places in all frames, (heads, queries, keys)."""
    with torch.no_grad():
        x = net.stem(model.prepared(CLIP).tensor)
        each = dense(net.block.form, *net.block.double().parts(x.double()))
        net.block.float()
    return torch.stack([torch.block_diag(*of_head) for of_head in each.transpose(0, 1)])


@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize("name", LOCAL)
def test_a_form_gives_the_rows_of_its_operator(name: str, residual: bool) -> None:
    net = net_of(LOCAL[name], residual=residual)
    model = model_of(net)
    with torch.no_grad():
        plain = net(model.prepared(CLIP).tensor)[0]
    capture = model.capture(CLIP)
    assert torch.equal(capture.logits, plain)
    assert not capture.refused
    (affinity,) = capture.affinities.values()
    assert affinity.pairwise.name == "effective_operator"
    rows = affinity.rows(range(T * H * W)).double()
    right = wanted(net, model)
    assert rows.shape == right.shape == (HEADS, T * H * W, T * H * W)
    assert (rows - right).abs().max() < 1e-6 * right.abs().max()
    sums = right.sum(-1)
    assert affinity.distributes == bool(((sums - 1).abs() < 1e-6).all())
    assert f"Its rows sum to {sums.min():.3g} to {sums.max():.3g}." in affinity.note


def test_an_operator_is_saved_and_opened_as_it_was(tmp_path: Path) -> None:
    net = net_of(LOCAL["involution"])
    capture = model_of(net).capture(CLIP)
    before = capture.affinities["block"]
    after = nlviz.read_capture(capture.save(tmp_path / "kept.nlviz")).affinities["block"]
    every = range(T * H * W)
    assert torch.equal(after.rows(every), before.rows(every))
    assert after.pairwise == before.pairwise
    assert after.note == before.note
    said = after.support.sentence(after.keys)
    assert said == "A query reaches a window of 3 x 3 keys around it in its own frame."
