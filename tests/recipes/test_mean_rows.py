"""Mean rows that are shipped: what they are fitted with, and what they say of the first clip."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import nlviz
from nlviz.affinity.bias import OffsetBias
from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.affinity.grid import TokenGrid
from nlviz.affinity.pairwise import Pairwise
from nlviz.analysis.shipped_positions import shipped_position
from nlviz.recipes.mean_rows import fitted, kept_in_common, mean_rows, offsets

GRID = TokenGrid((2, 3, 5), (1, 8, 8))


def affinity(seed: int = 0) -> EmbeddedAffinity:
    generator = torch.Generator().manual_seed(seed)
    theta, phi = (torch.randn(1, GRID.size, 2, generator=generator) for _ in range(2))
    bias = OffsetBias(torch.randn(1, 3, 5, 9, generator=generator))
    pairwise = Pairwise("embedded_gaussian")
    return EmbeddedAffinity("b", pairwise, theta, phi, GRID, GRID, bias=bias)


def test_offsets_are_those_of_a_bias_by_offset() -> None:
    queries = torch.tensor([0, 7, 29])
    index, sizes = offsets(GRID, queries)
    table = torch.randn(1, *sizes, generator=torch.Generator().manual_seed(1))
    expected = OffsetBias(table).at(GRID, GRID, queries)[0]
    torch.testing.assert_close(table.flatten()[index], expected)


def test_a_fit_finds_rows_that_are_of_its_form() -> None:
    exact = mean_rows(affinity())
    torch.testing.assert_close(exact, affinity().dense()[0])
    before = kept_in_common(exact, fitted(exact, GRID, 3, steps=1), GRID)
    kept = fitted(exact, GRID, 3, steps=400)
    assert {x.dtype for x in kept.values()} == {torch.float16}
    assert kept_in_common(exact, kept, GRID) > max(0.97, before)


@pytest.fixture(scope="module")
def twins(lite_nl: nlviz.Model) -> nlviz.Capture:
    path = nlviz.bundled_inputs()["composed-twins.mp4"]
    return lite_nl.capture(nlviz.read_clip(path, frames=8), blocks=["stage4"])


def test_what_is_shipped_is_of_the_first_network_and_the_first_clips_shape(
    lite_nl: nlviz.Model, twins: nlviz.Capture
) -> None:
    mean = shipped_position(twins, "stage4")
    assert mean is not None
    assert mean.clips == 32
    assert "87 %" in mean.note
    rows = mean.rows.rows([0, 1500])
    assert rows.sum(-1).flatten().tolist() == pytest.approx([1, 1], abs=1e-5)
    assert rows[0, 1].argmax() == 1500  # whatever is shown, a query is most like itself
    other = nlviz.Clip.from_frames(np.zeros((8, 180, 320, 3), np.uint8))
    assert shipped_position(lite_nl.capture(other, blocks=["stage4"]), "stage4") is None


def test_links_of_the_first_clip_do_not_follow_from_position(twins: nlviz.Capture) -> None:
    """Exactly, over the same 32 clips, 6.4 % of the variance and 39 % in common."""
    found = nlviz.position_only(twins, "stage4")
    assert found.explained == pytest.approx(0.064, abs=0.01)
    assert found.common == pytest.approx(0.395, abs=0.02)
    assert found.own == pytest.approx(0.139, abs=0.01)
    sentence = nlviz.words.position_sentence(found)
    assert sentence.startswith("Where points look does not follow from where they are")
