"""Rows of attention in every form that people write, against the formula; or why there are none."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import Tensor, nn

import nlviz
from nlviz.captures.model import Model
from nlviz.errors import NlvizError
from nlviz.families.reading.attention_adapter import AttentionAdapter
from tests.captures.attention_forms import (
    FORMS,
    HEADS,
    REFUSED,
    Attend,
    FormNet,
    H,
    N,
    T,
    W,
    at_sign,
)
from tests.nets import noise_clip

CLIP = noise_clip(T, 4 * H, 4 * W)
SPEC = nlviz.InputSpec(sides=(4 * H, 4 * W), layout="clip")


def net_of(attend: Attend) -> FormNet:
    torch.manual_seed(1)
    return FormNet(attend).eval()


def model_of(net: nn.Module) -> Model:
    return Model(net, adapter=AttentionAdapter(), input_spec=SPEC)


@pytest.mark.parametrize("name", FORMS)
def test_a_form_gives_the_rows_of_its_formula_and_the_output_of_the_network(name: str) -> None:
    form, net = FORMS[name], net_of(FORMS[name].attend)
    model = model_of(net)
    x = model.prepared(CLIP).tensor
    with torch.no_grad():
        plain = net(x)[0]
        q, k, _ = net.block.split(net.tokens(x)).double()
        wanted = form.rows(q, k)[0]
    capture = model.capture(CLIP)
    assert capture.logits is not None
    assert torch.equal(capture.logits, plain)
    (affinity,) = capture.affinities.values()
    rows = affinity.rows(range(N)).double()
    assert rows.shape == (HEADS, N, N)
    assert (rows - wanted).abs().max() < 1e-5 * max(1.0, float(wanted.abs().max()))
    assert form.note in affinity.note
    assert bool(form.note) == bool(affinity.note)
    assert not capture.refused


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_shown_is_named_with_the_reason(name: str) -> None:
    attend, why = REFUSED[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # flex_attention says that it is not compiled
        with pytest.raises(NlvizError, match=why):
            model_of(net_of(attend)).capture(CLIP)


@pytest.mark.parametrize("kind", [torch.float64, torch.float16, torch.bfloat16])
def test_rows_in_other_types(kind: torch.dtype) -> None:
    net = net_of(at_sign).to(kind)
    model = model_of(net)
    with torch.no_grad():
        x = model.prepared(CLIP).tensor.to(kind)
        q, k, _ = net.block.split(net.tokens(x)).double()
    found = model.capture(CLIP).affinities["block"].rows(range(N)).double()
    limit = 1e-9 if kind == torch.float64 else 1e-5  # rows are computed in full of what was kept
    assert (found - FORMS["at_sign"].rows(q, k)[0]).abs().max() < max(limit, 2e-6)


def test_dropout_that_was_left_on_is_told() -> None:
    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return nn.functional.dropout((q @ k.mT).softmax(-1), 0.5, training=True) @ v

    affinity = model_of(net_of(attend)).capture(CLIP).affinities["block"]
    assert "dropout was left on" in affinity.note


def test_a_low_rank_adapter_is_no_attention() -> None:
    class Adapted(FormNet):
        def __init__(self) -> None:
            super().__init__(at_sign)
            self.down = nn.Parameter(torch.randn(HEADS * 7, 3))
            self.up = nn.Linear(HEADS * 7, 3)

        def tokens(self, x: Tensor) -> Tensor:
            x = super().tokens(x)
            return x + (x @ self.down) @ self.up.weight

    torch.manual_seed(0)
    capture = model_of(Adapted().eval()).capture(CLIP)
    assert list(capture.affinities) == ["block"]


def test_a_compiled_function_runs_as_it_was_written() -> None:
    compiled = torch.compile(at_sign, backend="eager")
    found = model_of(net_of(compiled)).capture(CLIP).affinities["block"].rows(range(N))
    assert torch.equal(
        found, model_of(net_of(at_sign)).capture(CLIP).affinities["block"].rows(range(N))
    )


def test_a_block_that_runs_twice_gives_a_map_for_each_run() -> None:
    class Twice(FormNet):
        def forward(self, x: Tensor) -> Tensor:
            x = self.tokens(x)
            for _ in range(2):
                x = x + self.block(x=x)
            return self.head(x.mean(1))

    torch.manual_seed(0)
    net = Twice(at_sign).eval()
    model = model_of(net)
    with torch.no_grad():
        x = net.tokens(model.prepared(CLIP).tensor)
        first = net.block.split(x).double()
        second = net.block.split(x + net.block(x)).double()
    found = model.capture(CLIP).affinities
    assert list(found) == ["block", "block#2"]
    for name, (q, k, _) in zip(found, (first, second), strict=True):
        wanted = FORMS["at_sign"].rows(q, k)[0]
        assert (found[name].rows(range(N)).double() - wanted).abs().max() < 1e-5


def test_modules_that_share_weights_are_one_block_with_several_runs() -> None:
    class Shared(FormNet):
        def __init__(self) -> None:
            super().__init__(at_sign)
            self.again = nn.ModuleList([self.block, self.block])

        def forward(self, x: Tensor) -> Tensor:
            x = self.tokens(x)
            for block in self.again:
                x = x + block(x)
            return self.head(x.mean(1))

    assert list(model_of(Shared().eval()).capture(CLIP).affinities) == ["block", "block#2"]


def _scripted(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return (q @ k.transpose(-1, -2)).softmax(-1) @ v


with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # torch.jit is deprecated, and in use
    SCRIPT = torch.jit.script(_scripted)


class CallsAScript(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return SCRIPT(x, x, x)


def test_a_scripted_function_is_named() -> None:
    class Net(FormNet):
        def __init__(self) -> None:
            super().__init__(at_sign)
            self.beside = CallsAScript()

        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) + self.beside(self.tokens(x)).mean()

    capture = model_of(Net().eval()).capture(CLIP)
    assert list(capture.affinities) == ["block"]
    assert "SCRIPT, a graph of torch.jit" in capture.refused["beside"]


def test_a_part_that_was_scripted_is_named() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        part = torch.jit.script(nn.Softmax(-1))

    class Net(FormNet):
        def __init__(self) -> None:
            super().__init__(at_sign)
            self.part = part

        def forward(self, x: Tensor) -> Tensor:
            return self.part(super().forward(x))

    capture = model_of(Net().eval()).capture(CLIP)
    assert list(capture.affinities) == ["block"]
    assert "graph of torch.jit" in capture.refused["part"]
