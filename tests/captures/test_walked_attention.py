"""Networks that give a transformer one part of the clip after another."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import nlviz
from nlviz.analysis.attribution import attribution
from nlviz.analysis.health import block_health
from nlviz.captures.model import Model
from tests.families.timm.test_vit import COLUMNS, ROWS, clip, eva, vit


class Walks(nn.Module):
    """Runs a network on so many frames at a time."""

    def __init__(self, net: Any, frames: int, **given: Any) -> None:
        super().__init__()
        self.net, self.frames, self.given = net, frames, given

    def forward(self, x: Tensor) -> Tensor:
        run = self.net.forward_features if self.given else self.net
        return torch.cat([run(part, **self.given) for part in x.split(self.frames)])


@pytest.mark.parametrize("make", [vit, eva])
@pytest.mark.parametrize("frames", [1, 2])
def test_the_runs_on_parts_of_a_clip_are_one_attention(make: Any, frames: int) -> None:
    taken = clip(3)
    plain, model = Model(make()), Model(Walks(make(), frames).eval())
    want, got = plain.capture(taken), model.capture(taken)
    again = model.capture(taken)
    assert list(got.affinities) == ["net.blocks.0", "net.blocks.1"]
    assert got.refused == {}
    for name, right in want.affinities.items():
        found = got.affinities[f"net.{name}"]
        assert found.queries.shape == (3, ROWS, COLUMNS)
        assert type(found.support) is type(right.support)
        assert found.token_names == right.token_names
        torch.testing.assert_close(found.dense(), right.dense(), rtol=0, atol=1e-6)
        torch.testing.assert_close(found.token_rows(), right.token_rows(), rtol=0, atol=1e-6)
        torch.testing.assert_close(got.features[f"net.{name}"], want.features[name])
        assert torch.equal(again.affinities[f"net.{name}"].dense(), found.dense())
        assert f"ran {-(-3 // frames)} times, each time on another part" in found.note
        assert got.receipts[f"net.{name}"].holds
    sizes = [block_health(m, c, n).size for m, c, n in (
        (model, got, "net.blocks.1"), (plain, want, "blocks.1")
    )]  # fmt: skip
    assert sizes[0] == pytest.approx(sizes[1], rel=1e-4)
    values = [attribution(m, c, block=n, target=1).values for m, c, n in (
        (model, got, "net.blocks.1"), (plain, want, "blocks.1")
    )]  # fmt: skip
    torch.testing.assert_close(*map(torch.from_numpy, values), rtol=1e-3, atol=1e-6)


def test_what_was_added_to_each_run_keeps_them_apart() -> None:
    net = vit()
    tokens = ROWS * COLUMNS + net.num_prefix_tokens
    mask = torch.ones(tokens, tokens, dtype=torch.bool)
    mask[:, 5] = False
    shot = nlviz.capture(Walks(net, 1, attn_mask=mask).eval(), clip(2))
    assert list(shot.affinities) == [f"net.blocks.{i}{n}" for n in ("", "#2") for i in (0, 1)]
    assert [round(a.queries.centre(0)[0]) for a in shot.affinities.values()] == [0, 0, 1, 1]
    assert (
        "ran 2 times in this forward pass; this is run 2" in shot.affinities["net.blocks.1#2"].note
    )


def test_a_block_that_runs_twice_on_the_same_frames_has_two_maps() -> None:
    net = vit()
    net.blocks[1] = net.blocks[0]
    shot = nlviz.capture(net, clip(2))
    assert list(shot.affinities) == ["blocks.0", "blocks.0#2"]
    rows = [a.dense() for a in shot.affinities.values()]
    assert not torch.allclose(*rows, atol=1e-3)
