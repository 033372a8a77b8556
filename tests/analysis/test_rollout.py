"""Rollout against the product of two small matrices, in the right order."""

from __future__ import annotations

import pytest
import torch

import nlviz
from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.affinity.grid import TokenGrid
from nlviz.affinity.pairwise import Pairwise
from nlviz.affinity.support import FrameGroups

GRID = TokenGrid((2, 3, 5), (1, 8, 8), (0, 3.5, 3.5), prefix=4)
NAMES = ("cls", "registers.0", "cls", "registers.0")


def layer(name: str, grid: TokenGrid = GRID, heads: int = 3) -> EmbeddedAffinity:
    theta, phi = torch.randn(2, heads, grid.size + grid.prefix, 7).unbind(0)
    return EmbeddedAffinity(
        name,
        Pairwise("embedded_gaussian", 0.8),
        theta,
        phi,
        grid,
        grid,
        support=FrameGroups(1, own_prefix=True),
        clip_shape=(2, 24, 40),
        token_names=NAMES,
    )


def dense(affinity: EmbeddedAffinity) -> torch.Tensor:
    return torch.cat([affinity.token_rows(), affinity.dense()], 1).double().mean(0)


@pytest.mark.parametrize("residual", [0.0, 0.3])
def test_rollout_is_the_product_of_the_layers(residual: float) -> None:
    torch.manual_seed(0)
    first, last = layer("first"), layer("last")
    eye = torch.eye(len(dense(first)), dtype=torch.float64)
    a, b = (residual * eye + (1 - residual) * dense(each) for each in (first, last))
    wanted = (b @ a).float()
    found = nlviz.rollout([first, last], residual=residual)
    torch.testing.assert_close(found.dense()[0], wanted[4:])
    torch.testing.assert_close(found.token_rows()[0], wanted[:4])
    row = wanted[4 + GRID.nearest(frame=1, y=12, x=20)]
    one = found.map(frame=1, y=12, x=20)
    torch.testing.assert_close(torch.from_numpy(one.weights).flatten(), row[4:])
    assert one.off_grid == pytest.approx(float(row[:4].sum()))
    cls = found.map(token="cls")
    torch.testing.assert_close(torch.from_numpy(cls.weights).flatten(), wanted[[0, 2], 4:].mean(0))
    other = nlviz.rollout([last, first], residual=residual)
    assert float((other.dense() - found.dense()).abs().max()) > 1e-3
    alone = nlviz.rollout([first, last], upto="first", residual=residual)
    torch.testing.assert_close(alone.dense()[0], a[4:].float())


def test_layers_of_other_tokens_and_other_shares_are_refused() -> None:
    first = layer("first")
    pooled = layer("pooled", TokenGrid((2, 3, 4), prefix=4))
    with pytest.raises(nlviz.NlvizError, match="layers of one grid"):
        nlviz.rollout([pooled, first])
    with pytest.raises(nlviz.NlvizError, match=r"in \[0, 1\), got 1"):
        nlviz.rollout([first], residual=1)
    with pytest.raises(nlviz.NlvizError, match="the last layer is one of first"):
        nlviz.rollout([first], upto="second")
    with pytest.raises(nlviz.NlvizError, match="got none"):
        nlviz.rollout([])
    with pytest.raises(nlviz.NlvizError, match="a token is one of"):
        nlviz.rollout([first]).map(token="dist")


def test_rows_are_kept_by_share_and_made_in_one_pass_with_progress() -> None:
    rolled = nlviz.rollout([layer("first"), layer("last")])
    assert not rolled.knows(7)
    heard: list[tuple[str, float]] = []
    rolled.prepare(7, progress=lambda sentence, share: heard.append((sentence, share)))
    assert heard == [("Rollout through last", 0.0), ("Rollout through first", 0.5)]
    assert rolled.knows(7) and not rolled.knows(8)
    fresh = nlviz.rollout(rolled.layers)
    torch.testing.assert_close(rolled.rows([7]), fresh.rows([7]))
    torch.testing.assert_close(rolled.token_rows(), fresh.token_rows())
    other = rolled.with_residual(0.25)
    assert other is rolled.with_residual(0.25) and "25 %" in other.note
    torch.testing.assert_close(
        other.rows([7]), nlviz.rollout(rolled.layers, residual=0.25).rows([7])
    )
    with pytest.raises(nlviz.NlvizError, match="got 1"):
        rolled.with_residual(1)
