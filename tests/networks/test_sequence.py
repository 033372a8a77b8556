"""MUSE, its twin and the towers against what their papers write, computed cell by cell."""

from __future__ import annotations

import math
from typing import cast, get_args

import numpy as np
import pytest
import torch
from torch import Tensor

from nlviz.errors import NlvizError
from nlviz.networks.sequence.layers import (
    KERNELS,
    DynamicConvolution,
    Layer,
    SelfAttention,
    banded,
)
from nlviz.networks.sequence.non_local_1d import NonLocal1d, TowerSize
from nlviz.networks.sequence.positions import FREQUENCIES, sinusoids, source_places, target_places
from nlviz.networks.sequence.tasks import TASKS, TaskName, drawn, task_named
from nlviz.networks.sequence.transduction import Size, Transduction

NAMES = get_args(TaskName)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(3)


def band_by_hand(conv: DynamicConvolution, v: Tensor) -> Tensor:
    """(heads, n, n) of one sequence (heads, n, d): a softmax of taps for each place, laid out."""
    heads, n, _ = v.shape
    weight, bias = conv.taps.weight.detach(), conv.taps.bias.detach()
    matrix = torch.zeros(heads, n, n)
    for t in range(n):
        together = torch.cat([v[h, t] for h in range(heads)])
        logits = weight @ together + bias
        for h in range(heads):
            taps = logits[h * conv.kernel : (h + 1) * conv.kernel].softmax(0)
            for j in range(conv.kernel):
                key = t + j - (conv.kernel - 1 if conv.causal else conv.kernel // 2)
                if 0 <= key < n:
                    matrix[h, t, key] = taps[j]
    return matrix


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(("kernel", "n"), [(3, 11), (5, 4), (15, 6), (15, 21)])
def test_a_dynamic_convolution_is_its_band(kernel: int, n: int, causal: bool) -> None:
    conv = DynamicConvolution(heads=3, width=4, kernel=kernel, causal=causal)
    v = torch.randn(2, 3, n, 4)
    with torch.no_grad():
        found = conv(v)
        matrix = banded(conv.weights(v), conv.before)
    for own, y, laid in zip(v, found, matrix, strict=True):
        wanted = band_by_hand(conv, own)
        torch.testing.assert_close(laid, wanted)
        torch.testing.assert_close(y, wanted @ own)


@pytest.mark.parametrize("causal", [False, True])
def test_muse_is_attention_beside_the_mixed_convolutions_of_the_same_values(causal: bool) -> None:
    n, c, heads = 9, 12, 3
    module = SelfAttention(c, heads, causal=causal, kernels=KERNELS)
    with torch.no_grad():
        module.alpha.copy_(torch.tensor([0.7, -0.4]))
        x = torch.randn(1, n, c)
        found = module(x)[0]
        q, k, v = (part.reshape(n, heads, c // heads) for part in module.qkv(x)[0].split(c, -1))
        attention, mix = np.zeros((n, c)), np.zeros((n, c))
        mixing = np.exp([0.7, -0.4]) / np.exp([0.7, -0.4]).sum()
        bands = [
            band_by_hand(cast(DynamicConvolution, conv), v.transpose(0, 1))
            for conv in module.convolutions
        ]
        for h in range(heads):
            own = slice(h * 4, (h + 1) * 4)
            for i in range(n):
                logits = [float(q[i, h] @ k[j, h]) / math.sqrt(4) for j in range(n)]
                reach = i + 1 if causal else n
                weights = np.exp(logits[:reach]) / np.exp(logits[:reach]).sum()
                attention[i, own] = weights @ v[:reach, h].numpy()
                for share, band in zip(mixing, bands, strict=True):
                    mix[i, own] += share * (band[h, i].numpy() @ v[:, h].numpy())
        # W_o on the two side by side is [W_1 W_2].
        w_o = torch.cat([module.w_1.weight, module.w_2.weight], 1)
        both = torch.from_numpy(np.concatenate([attention, mix], 1)).float()
        torch.testing.assert_close(found, both @ w_o.T + module.w_1.bias, rtol=1e-4, atol=1e-5)


def test_the_branches_of_a_muse_layer_see_the_same_normed_input() -> None:
    layer = Layer(8, 2, 7, kernels=KERNELS)
    x = torch.randn(1, 13, 8)
    with torch.no_grad():
        normed = layer.norm(x)
        wanted = x + layer.attention(normed) + layer.feed(normed)
        torch.testing.assert_close(layer(x), wanted)
    plain = Layer(8, 2, 7)
    with torch.no_grad():
        after = x + plain.attention(plain.norm(x))
        torch.testing.assert_close(plain(x), after + plain.feed(plain.feed_norm(after)))


@pytest.mark.parametrize("task", NAMES)
def test_twins_have_as_many_parameters_within_two_percent(task: TaskName) -> None:
    muse, twin = (
        sum(p.numel() for p in Transduction(task, kind).parameters())
        for kind in ("muse", "transformer")
    )
    assert abs(twin / muse - 1) < 0.02
    assert not any("taps" in name for name, _ in Transduction(task, "transformer").named_modules())


@pytest.mark.parametrize("size", [Size(24, 3, 1, 2, 17), Size(64, 4, 3, 3, 128)])
def test_other_sizes_have_twins_too(size: Size) -> None:
    muse = sum(p.numel() for p in Transduction("copy", "muse", size).parameters())
    twin = sum(p.numel() for p in Transduction("copy", "transformer", size.twin).parameters())
    assert abs(twin / muse - 1) < 0.02


@pytest.mark.parametrize("kind", ["muse", "transformer"])
def test_a_target_sees_no_symbol_behind_it_and_all_of_the_source(kind: str) -> None:
    net = Transduction("copy", kind).eval()  # type: ignore[arg-type]
    source, given = torch.randint(16, (1, 13)), torch.randint(16, (1, 19))
    with torch.no_grad():
        before = net.logits(source, given)
        assert before.shape == (1, 19, 17)
        changed = given.clone()
        changed[0, 11] = (given[0, 11] + 1) % 16
        after = net.logits(source, changed)
        torch.testing.assert_close(after[:, :11], before[:, :11], rtol=0, atol=1e-6)
        assert float((after[:, 11:] - before[:, 11:]).abs().amax(-1).min()) > 0
        for place in (0, 12):
            other = source.clone()
            other[0, place] = (source[0, place] + 1) % 16
            moved = (net.logits(other, given) - before).abs().amax(-1)
            assert float(moved.min()) > 0


def test_a_line_is_cut_at_its_separator() -> None:
    net = Transduction("reverse", "muse").eval()
    source, given = net.task.ids("deabc"), net.task.ids("|cb")
    with torch.no_grad():
        whole = net(torch.tensor([source + given]))
        parts = net.logits(torch.tensor([source]), torch.tensor([given]))
    torch.testing.assert_close(whole, parts)
    for wrong in ("deab", "|ab", "a|b|"):
        with pytest.raises(NlvizError, match="one separator"):
            net(torch.tensor([net.task.ids(wrong)]))


def test_answers_are_what_the_tasks_say() -> None:
    assert "".join(TASKS["copy"].answer("gabe")) == "gabe"
    assert "".join(TASKS["reverse"].answer("gabe")) == "ebag"
    assert "".join(TASKS["shift"].answer("abcdefg")) == "efgabcd"
    assert "".join(TASKS["sort"].answer("gabbe")) == "abbeg"
    assert "".join(TASKS["recall"].answer("g7a0g7")) == "g7a0"
    with pytest.raises(NlvizError, match="pairs of a letter and a digit"):
        TASKS["recall"].answer("g7a")
    with pytest.raises(NlvizError, match=r"knows the symbols a b .* got 'z', '\.'"):
        TASKS["copy"].ids("az.")
    with pytest.raises(NlvizError, match="a task is one of copy"):
        task_named("copi")


@pytest.mark.parametrize("task", NAMES)
def test_drawn_sequences_have_their_true_answers(task: TaskName) -> None:
    own = TASKS[task]
    batch = drawn(own, 5, 62, torch.Generator().manual_seed(1))
    assert batch.source.shape == (5, 62)
    for source, given, wanted in zip(batch.source, batch.given, batch.wanted, strict=True):
        told = [own.tokens[i] for i in source.tolist()]
        assert given[0] == own.separator == wanted[-1]
        assert given[1:].tolist() == wanted[:-1].tolist()
        written = [own.tokens[i] for i in wanted[:-1].tolist()]
        if own.asks:
            assert dict(zip(written[::2], written[1::2], strict=True)) == dict(
                zip(told[::2], told[1::2], strict=True)
            )
            assert len(written) == 2 * 26  # 31 pairs, each of 26 keys at least once
        else:
            assert tuple(written) == own.answer(told)
        assert batch.counts.tolist() == own.asked(given.tolist())


def test_recall_draws_no_odd_sources() -> None:
    with pytest.raises(NlvizError, match="an even number"):
        drawn(TASKS["recall"], 1, 9, torch.Generator())


def test_places_are_counted_from_both_ends_and_moved_on_together() -> None:
    moved = torch.tensor([0.0, 5.0])
    code = source_places(7, moved)
    half = 2 * FREQUENCIES
    assert code.shape == (2, 7, 2 * half)
    torch.testing.assert_close(code[0, 2, :half], sinusoids(torch.tensor(2.0)))
    torch.testing.assert_close(code[0, 2, half:], sinusoids(torch.tensor(4.0)))
    torch.testing.assert_close(
        code[1, 2], torch.cat([sinusoids(torch.tensor(t)) for t in (7.0, 9.0)])
    )
    target = target_places(3, moved)
    torch.testing.assert_close(target[1, 2, :half], sinusoids(torch.tensor(7.0)))
    assert not target[..., half:].any()


def test_towers_share_the_line_alone_and_each_has_its_f() -> None:
    net = NonLocal1d("recall", TowerSize(blocks=2)).eval()
    source, asked = torch.tensor([net.task.ids("a3b7c1")]), torch.tensor([net.task.ids("bc")])
    with torch.no_grad():
        for tower in net.towers.values():
            for block in tower.blocks:  # type: ignore[union-attr]
                block.out.weight.normal_()
        before = net.logits(source, asked)
        assert {name: x.shape for name, x in before.items()} == dict.fromkeys(
            ("gaussian", "embedded_gaussian", "dot_product", "concatenation"), (1, 2, 37)
        )
        net.towers["dot_product"].blocks[1].g.weight.mul_(2)  # type: ignore[union-attr, index]
        after = net.logits(source, asked)
    for name, x in before.items():
        assert torch.equal(x, after[name]) == (name != "dot_product")
    assert [b.pairwise for t in net.towers.values() for b in t.blocks] == [  # type: ignore[union-attr]
        f for f in before for _ in range(2)
    ]


def test_a_tower_needs_something_that_asks() -> None:
    net = NonLocal1d("copy").eval()
    with pytest.raises(NlvizError, match="there is none"):
        net(torch.tensor([net.task.ids("ab|")]))
