"""How much of a row lies elsewhere, in place and along with its frames."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

import nlviz
from nlviz.analysis.moved_rows import MovedRow, frame_order, moved_row
from nlviz.captures.model import Model
from nlviz.interventions import (
    Bypass,
    BypassHeads,
    FreezeFrame,
    NoiseFrame,
    ReverseTime,
    ShuffleTime,
    SwapFrames,
    Temperature,
    register_neurons,
)
from nlviz.networks.block import NonLocalBlock
from tests.families.small_transformers import small
from tests.nets import CLIPS, awake, noise_clip

CLIP = noise_clip(5, 32, 48)


class Timed(nn.Module):
    """A network whose cells know their frame, or do not."""

    def __init__(self, *, knows: bool) -> None:
        super().__init__()
        self.knows = knows
        self.stem = nn.Conv3d(3, 6, (1, 8, 8), stride=(1, 8, 8))
        self.nl = NonLocalBlock(6, dimension=3)
        self.head = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        if self.knows:
            x = x + torch.arange(x.shape[2])[:, None, None]
        return self.head(self.nl(x).mean((2, 3, 4)))


def model(*, knows: bool) -> Model:
    torch.manual_seed(0)
    net = Timed(knows=knows).eval()
    awake(net)
    with torch.no_grad():
        net.nl.theta.weight.mul_(3)
    return Model(net, input_spec=CLIPS)


@given(
    st.lists(
        st.one_of(
            st.just(ReverseTime()),
            st.builds(ShuffleTime, st.integers(0, 9)),
            st.permutations(range(5)).map(lambda p: SwapFrames(p[0], p[1])),
        ),
        max_size=4,
    )
)
def test_the_order_is_that_of_the_frames(changes: list[nlviz.interventions.ClipChange]) -> None:
    order = frame_order(changes, 5)
    assert order is not None
    changed = CLIP
    for change in changes:
        changed = change.apply(changed)
    assert np.array_equal(changed.frames, CLIP.frames[order])


@pytest.mark.parametrize("change", [ReverseTime(), ShuffleTime(3), SwapFrames(1, 4)], ids=repr)
def test_a_block_that_knows_no_order_moves_with_its_frames(
    change: nlviz.interventions.ClipChange,
) -> None:
    for knows in (False, True):
        found = nlviz.intervene(model(knows=knows), CLIP, change)
        moved = moved_row(found, "nl", (1, 12, 20))
        assert moved.in_place > 0.05
        assert moved.along is not None
        assert (moved.along < 1e-5) != knows


def test_what_changes_frames_has_no_way_along() -> None:
    own = model(knows=False)
    for change in (FreezeFrame(2), NoiseFrame(1), Temperature("nl", 2.0)):
        moved = moved_row(nlviz.intervene(own, CLIP, change), "nl", 7)
        assert moved.along is None
        assert 0 < moved.in_place <= 1
    same = nlviz.intervene(own, CLIP, [])
    assert moved_row(same, "nl", 7).in_place == 0


def test_of_rows_that_sum_to_1_it_is_their_total_variation() -> None:
    found = nlviz.intervene(model(knows=False), CLIP, NoiseFrame(1))
    pair = found.rows("nl", (1, 12, 20))
    want = float(pair.difference.abs().sum()) / 2
    assert moved_row(found, "nl", (1, 12, 20)).in_place == pytest.approx(want, abs=1e-6)


def test_a_token_that_was_added_counts_with_those_without_a_place() -> None:
    torch.manual_seed(0)
    sizes = {"img_size": (32, 48), "patch_size": 8, "embed_dim": 24, "depth": 2, "num_heads": 3}
    own, clip = Model(VisionTransformer(**sizes, num_classes=7).eval()), noise_clip(1, 32, 48)
    change = register_neurons(own, clip, neurons=2)
    found = nlviz.intervene(own, clip, change)
    block = next(iter(found.before.affinities))
    before, after = (c.affinities[block] for c in (found.before, found.after))
    assert after.keys.prefix == before.keys.prefix + 1
    rows = [a.rows([9]).mean(0)[0] for a in (before, after)]
    parts = [
        torch.cat([row[:n].sum()[None], row[n:]])
        for row, n in zip(rows, (before.keys.prefix, after.keys.prefix), strict=True)
    ]
    want = float((parts[1] - parts[0]).abs().sum()) / 2
    assert moved_row(found, block, 9).in_place == pytest.approx(want, abs=1e-6)


def test_tubelets_of_two_frames_are_compared_in_place_alone() -> None:
    own = Model(small("videomae"))
    found = nlviz.intervene(own, noise_clip(6, 20, 28), SwapFrames(0, 3))
    block = next(iter(found.before.affinities))
    assert moved_row(found, block, (0, 10, 10)).along is None


def test_it_is_said() -> None:
    lines = nlviz.words.moved_lines(MovedRow(0.4, 0.0004))
    assert "does not know the order of frames" in lines[1].meaning
    assert "is a part of what the network looks at" in (
        nlviz.words.moved_lines(MovedRow(0.4, 0.2))[1].meaning
    )
    found = nlviz.intervene(model(knows=True), CLIP, ReverseTime())
    assert found.said == "Time is reversed."
    gone = nlviz.intervene(model(knows=True), CLIP, [Bypass("nl"), ReverseTime()])
    assert gone.said.startswith("nl is bypassed; time is")
    assert BypassHeads("nl", (0,)).said == "head 0 of nl gathers nothing"
    rows = nlviz.words.answer_rows(found)
    assert len(rows) == 4 and sum(row["before"] for row in rows) == pytest.approx(1)
    assert abs(sum(row["change"] for row in rows)) < 4e-4
    assert [row["before"] for row in rows] == sorted((r["before"] for r in rows), reverse=True)
    assert nlviz.words.answer_sentence(found).startswith("The answer ")
    silent = SimpleNamespace(
        before=SimpleNamespace(logits=None), after=SimpleNamespace(logits=None)
    )
    assert "no score per class" in nlviz.words.answer_sentence(silent)  # type: ignore[arg-type]
    assert nlviz.words.answer_rows(silent) == []  # type: ignore[arg-type]
