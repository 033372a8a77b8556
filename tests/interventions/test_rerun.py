"""A pass again with rows changed inside, against masks in the network itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import nlviz
from nlviz.errors import NlvizError
from nlviz.interventions import (
    Bypass,
    BypassHeads,
    CutEdges,
    CutFrames,
    GivenRows,
    Rerun,
    Temperature,
    values_of,
)

T, H, W, HEADS, DIM = 3, 4, 5, 2, 6


class Attention(nn.Module):
    """Attention over all cells, fused or written, whose logits can be masked from outside."""

    def __init__(self, *, fused: bool) -> None:
        super().__init__()
        self.fused = fused
        self.qkv, self.out = nn.Linear(HEADS * DIM, 3 * HEADS * DIM), nn.Linear(HEADS * DIM, 12)
        self.mask: Tensor | None = None
        self.factor = 1.0

    def forward(self, x: Tensor) -> Tensor:
        b, n, _ = x.shape
        q, k, v = self.qkv(x).reshape(b, n, 3, HEADS, DIM).permute(2, 0, 3, 1, 4)
        if self.fused and self.mask is None:
            y = F.scaled_dot_product_attention(q, k, v, scale=DIM**-0.5 / self.factor)
        else:
            logits = q @ k.mT * (DIM**-0.5 / self.factor)
            if self.mask is not None:
                logits = logits.masked_fill(self.mask, -torch.inf)
            y = logits.softmax(-1) @ v
        return self.out(y.transpose(1, 2).reshape(b, n, -1))


class Stem(nn.Conv3d):
    """A convolution that counts how often it is computed."""

    computed = 0

    def forward(self, x: Tensor) -> Tensor:
        self.computed += 1
        return super().forward(x)


class Net(nn.Module):
    """A small network of two attentions over the cells of a clip."""

    def __init__(self, *, fused: bool) -> None:
        super().__init__()
        self.stem = Stem(3, 12, (1, 8, 8), stride=(1, 8, 8))
        self.one, self.two = Attention(fused=fused), Attention(fused=fused)
        self.norm = nn.LayerNorm(12)
        self.head = nn.Linear(12, 7)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x).flatten(2).mT
        x = x + self.one(self.norm(x))
        x = x + self.two(x)
        return self.head(x.mean(1))


@pytest.fixture(params=[True, False], ids=["fused", "written"])
def capture(request: Any) -> nlviz.Capture:
    torch.manual_seed(0)
    frames = np.random.default_rng(0).integers(0, 255, (T, 8 * H, 8 * W, 3), np.uint8)
    model = nlviz.Model(Net(fused=request.param).eval(), prepare=as_it_is)
    return model.capture(nlviz.Clip.from_frames(frames))


def as_it_is(clip: nlviz.Clip) -> Tensor:
    """The frames of a clip, (1, 3, T, H, W) in [0, 1]."""
    return torch.from_numpy(clip.frames.copy()).permute(3, 0, 1, 2)[None].float() / 255


def oracle(capture: nlviz.Capture, block: str, mask: Tensor) -> Tensor:
    """The network's logits with its own logits masked, (queries, keys) True for what is cut."""
    net = capture.model.net
    attention = getattr(net, block)
    prepared = capture.model.prepared(capture.clip)
    attention.mask = mask
    try:
        with torch.no_grad():
            return net(prepared.tensor)[0]
    finally:
        attention.mask = None


@pytest.mark.parametrize("block", ["one", "two"])
def test_edges_that_are_cut_are_masked_logits(capture: nlviz.Capture, block: str) -> None:
    """Cutting edges of one query is masking its logits, and nothing else changes."""
    affinity = capture.affinities[block]
    size, query = affinity.keys.size, 17
    keys = torch.zeros(size, dtype=torch.bool)
    keys[affinity.rows([query])[:, 0].mean(0).topk(4).indices] = True
    mask = torch.zeros(size, size, dtype=torch.bool)
    mask[query] = keys
    with Rerun(capture) as rerun:
        found = rerun.run(CutEdges(block, (query,), keys))
    assert found.logits is not None and capture.logits is not None
    torch.testing.assert_close(found.logits, oracle(capture, block, mask), atol=1e-6, rtol=1e-5)
    assert not torch.equal(found.logits, capture.logits)
    edited = found.edited[block]
    assert edited.numbers.tolist() == [query]
    assert not edited.rows[..., keys].any()
    y = edited.rows @ values_of(capture, block)[block]
    torch.testing.assert_close(edited.y, y, atol=1e-6, rtol=1e-5)


def test_a_run_without_changes_is_the_pass_itself_and_later_ones_skip_what_lies_before(
    capture: nlviz.Capture,
) -> None:
    """Bit-identical logits, also where what ran before the block is kept."""
    stem = capture.model.net.stem
    stem.computed = 0
    keys = torch.zeros(T * H * W, dtype=torch.bool)
    with Rerun(capture) as rerun:
        assert torch.equal(rerun.run().logits, capture.logits)  # type: ignore[arg-type]
        nothing = rerun.run(CutEdges("two", (3,), keys))
        assert torch.equal(nothing.logits, capture.logits)  # type: ignore[arg-type]
        keys[5] = True
        kept = rerun.run(CutEdges("two", (3,), keys)).logits
    assert stem.computed == 2  # as it was, and to keep what lies before
    whole = Rerun(capture, whole=True).run(CutEdges("two", (3,), keys)).logits
    assert torch.equal(kept, whole)  # type: ignore[arg-type]
    assert not any("forward" in m.__dict__ for m in capture.model.net.modules())


def test_all_cross_frame_edges_of_all_blocks(capture: nlviz.Capture) -> None:
    """Every query keeps its own frame alone, in both blocks."""
    frame = torch.arange(T * H * W) // (H * W)
    mask = frame[:, None] != frame[None]
    with Rerun(capture) as rerun:
        found = rerun.run(CutFrames("one"), CutFrames("two"))
    net = capture.model.net
    net.two.mask = mask
    try:
        expected = oracle(capture, "one", mask)
    finally:
        net.two.mask = None
    torch.testing.assert_close(found.logits, expected, atol=1e-6, rtol=1e-5)


def test_temperature_given_rows_and_heads(capture: nlviz.Capture) -> None:
    """A temperature is a factor of the logits; uniform rows give the mean; a head gives nothing."""
    net = capture.model.net
    with Rerun(capture) as rerun:
        flat = rerun.run(Temperature("one", 2.5)).logits
        uniform = torch.full((1, T * H * W), 1 / (T * H * W))
        mean = rerun.run(GivenRows("two", (9,), uniform)).edited["two"]
        none = rerun.run(BypassHeads("two", (1,))).edited["two"]
        bypassed = rerun.run(Bypass("two")).logits
    values = values_of(capture, "two")["two"]
    torch.testing.assert_close(mean.y[:, 0], values.mean(1), atol=1e-6, rtol=1e-5)
    assert not none.y[1].abs().gt(1e-6).any() and none.y[0].equal(none.y_before[0])
    assert bypassed is not None and flat is not None
    torch.testing.assert_close(bypassed, capture.model.logits(capture.clip, bypass="two"))
    net.one.factor = 2.5
    with torch.no_grad():
        expected = net(capture.model.prepared(capture.clip).tensor)[0]
    net.one.factor = 1.0
    torch.testing.assert_close(flat, expected, atol=1e-6, rtol=1e-5)


def test_everything_is_restored_after_an_exception(capture: nlviz.Capture) -> None:
    """A change that fails in the middle leaves no hook, no forward and no lock behind."""

    class Fails(CutEdges):
        def changed(self, *args: Any) -> Tensor:
            raise KeyboardInterrupt

    keys = torch.ones(T * H * W, dtype=torch.bool)
    rerun = Rerun(capture)
    rerun.run(CutEdges("two", (1,), ~keys))
    with pytest.raises(KeyboardInterrupt):
        rerun.run(Fails("two", (1,), keys))
    net = capture.model.net
    assert not any("forward" in m.__dict__ or m._forward_hooks for m in net.modules())
    again = capture.model.capture(capture.clip)
    assert torch.equal(again.logits, capture.logits)


def test_what_cannot_be_done_is_said(capture: nlviz.Capture, tmp_path: Any) -> None:
    """Wrong keys, queries, heads and a capture without a network are sentences."""
    rerun = Rerun(capture)
    with pytest.raises(NlvizError, match="60 keys of one"):
        rerun.run(CutEdges("one", (1,), torch.ones(7, dtype=torch.bool)))
    with pytest.raises(NlvizError, match="from 0 to 59"):
        rerun.run(CutFrames("one", queries=(60,)))
    with pytest.raises(NlvizError, match="frames of the keys of one are 0 to 2"):
        rerun.run(CutFrames("one", frames=(3,)))
    with pytest.raises(NlvizError, match="heads of one are 0 to 1"):
        rerun.run(BypassHeads("one", (2,)))
    with pytest.raises(NlvizError, match="above 0"):
        Temperature("one", 0.0)
    read = nlviz.read_capture(capture.save(tmp_path / "c.nlviz"))
    with pytest.raises(NlvizError, match="read from a file"):
        Rerun(read)


def test_intervene_shows_changed_rows(capture: nlviz.Capture) -> None:
    """The capture after has the rows as they were used, and its logits are those of the rerun."""
    change = CutFrames("one")
    found = nlviz.intervene(capture.model, capture.clip, change, before=capture)
    pair = found.rows("one", 25)
    assert pair.after.per_frame()[[0, 2]].tolist() == [0, 0]
    assert pair.difference.sum().abs() < 1e-5 and pair.before.per_frame()[0] > 0
    assert torch.equal(found.after.logits, Rerun(capture).run(change).logits)  # type: ignore[arg-type]
    assert "Changed: all cross-frame edges of one are cut." in found.after.notes


def test_what_was_changed_is_not_drawn_again_without_it(
    capture: nlviz.Capture, tmp_path: Any
) -> None:
    """A view of a changed capture has pictures and pages, and no JSON that forgets the change."""
    after = nlviz.intervene(capture.model, capture.clip, CutFrames("one"), before=capture).after
    assert after.changes == ("all cross-frame edges of one are cut",) and capture.changes == ()
    view = nlviz.View.of(after, "one", frame=1, y=12, x=20)
    with pytest.raises(nlviz.errors.InvalidView, match="all cross-frame edges of one are cut"):
        nlviz.save_view(after, view, tmp_path / "view.json")
    picture = nlviz.save_view(after, view, tmp_path / "view.png").read_bytes()
    assert b"nlviz.view" not in picture


class MultiQuery(nn.Module):
    """Heads that share their keys, written as rows of one product."""

    def __init__(self) -> None:
        super().__init__()
        self.q, self.kv = nn.Linear(12, HEADS * DIM), nn.Linear(12, 2 * DIM)
        self.out, self.norm = nn.Linear(HEADS * DIM, 7), nn.LayerNorm(12)
        self.stem = nn.Conv3d(3, 12, (1, 8, 8), stride=(1, 8, 8))

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.stem(x).flatten(2).mT)
        q = self.q(x).unflatten(-1, (HEADS, DIM)).transpose(1, 2)
        k, v = self.kv(x).chunk(2, -1)
        weights = (torch.einsum("bhid,bjd->bhij", q, k) * DIM**-0.5).softmax(-1)
        y = torch.einsum("bhij,bjd->bhid", weights, v)
        return self.out(y.transpose(1, 2).flatten(2)).mean(1)


def test_each_head_has_edges_of_its_own_also_where_heads_are_rows() -> None:
    """What is given for each head goes to that head, however the product holds them."""
    torch.manual_seed(0)
    frames = np.random.default_rng(0).integers(0, 255, (T, 8 * H, 8 * W, 3), np.uint8)
    model = nlviz.Model(MultiQuery().eval(), prepare=as_it_is)
    found = model.capture(nlviz.Clip.from_frames(frames))
    (block,) = found.affinities
    assert found.affinities[block].heads == HEADS
    keys = torch.zeros(HEADS, 1, T * H * W, dtype=torch.bool)
    keys[0, 0, 7] = keys[1, 0, 31] = True
    edited = Rerun(found).run(CutEdges(block, (17,), keys)).edited[block]
    assert (edited.rows[:, 0] == 0).nonzero().tolist() == [[0, 7], [1, 31]]
    rows = torch.rand(1, 1, T * H * W).softmax(-1).expand(1, 1, -1)
    given = Rerun(found).run(GivenRows(block, (17,), rows, heads=(1,))).edited[block]
    assert torch.allclose(given.rows[1], rows[0], atol=1e-6)
    assert torch.equal(given.rows[0], given.rows_before[0])
