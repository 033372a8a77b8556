"""Positions at other sizes than in training: the formulas themselves, cell by cell."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from nlviz.errors import NlvizError
from nlviz.families.reading.positions import WAYS, resized_positions
from nlviz.zoo.checkpoints import load_checkpoint
from nlviz.zoo.load import load_model
from tests.families.references import assert_close
from tests.families.timm.test_checkpoint import reference
from tests.families.torch_names import State, in_memory
from tests.families.writers.timm_vit import DIM, GRID, PATCH, state_of
from tests.nets import noise_clip

SIZES = [(5, 5), (3, 7), (8, 8), (5, 6), (2, 2), (11, 4)]


def keys(distance: np.ndarray, a: float) -> np.ndarray:
    """The cubic convolution of Keys 1981 at distances from a cell."""
    d = np.abs(distance)
    near = (a + 2) * d**3 - (a + 3) * d**2 + 1
    far = a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a
    return np.where(d <= 1, near, np.where(d < 2, far, 0.0))


def line(n: int, m: int, way: str) -> np.ndarray:
    """What each of m cells takes of each of n, (m, n); beyond the border lie the outermost."""
    step = n / (m + 0.1) if way == "dino" else n / m
    at = (np.arange(m) + 0.5) * step - 0.5
    wide = max(step, 1.0) if way == "timm" else 1.0
    cells = np.arange(-12, n + 12)
    weights = keys((at[:, None] - cells) / wide, -0.5 if way == "timm" else -0.75)
    if way == "timm":  # what lies beyond the border is left out, the rest fills a whole
        weights = weights[:, 12:-12]
        return weights / weights.sum(1, keepdims=True)
    found = np.zeros((m, n))
    np.add.at(found.T, cells.clip(0, n - 1), weights.T)
    return found


def resized(table: Tensor, side: int, size: tuple[int, int], way: str) -> Tensor:
    """The table of a square of patches for another grid, the class token's row first."""
    if size == (side, side):
        return table
    grid = table[0, 1:].double().reshape(side, side, -1).numpy()
    rows, columns = (line(side, m, way) for m in size)
    patches = torch.from_numpy(np.einsum("ai,bj,ijc->abc", rows, columns, grid)).flatten(0, 1)
    return torch.cat([table[:, :1], patches[None].float()], 1)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("size", SIZES)
def test_each_cell_is_what_the_formula_says(way: str, size: tuple[int, int]) -> None:
    table = torch.randn(1, 26, 3, generator=torch.Generator().manual_seed(2))
    found = resized_positions(table, (5, 5), size, way)
    torch.testing.assert_close(found, resized(table, 5, size, way), atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", ["dinov2", "dinov2_reg", "giant", "dino"])
@pytest.mark.parametrize("size", [(3, 7), (8, 8), (5, 5)])
def test_files_are_resized_as_their_authors_do(kind: str, size: tuple[int, int]) -> None:
    state = state_of(kind)
    way = "timm" if kind == "dinov2_reg" else "dino"
    given: State = state
    if kind == "dino":  # the keys of its training say whose it is
        given = {f"backbone.{k}": v for k, v in state.items()}
        given["head.last_layer.weight_v"] = torch.ones(13, 11)
    net, report = load_checkpoint(in_memory(given, "net.pth"))
    flag = report.flags["positions"]
    assert (flag.value, flag.origin) == (way, "key")
    x = torch.randn(
        2, 3, size[0] * PATCH, size[1] * PATCH, generator=torch.Generator().manual_seed(1)
    )
    wanted = {**state, "pos_embed": resized(state["pos_embed"], GRID, size, way)}
    with torch.no_grad():
        assert_close(net(x), reference(wanted, x)[0])
    others = [w for w in WAYS if w != way]
    for other in others:
        net, report = load_checkpoint(in_memory(given, "net.pth"), positions=other)
        assert report.flags["positions"].origin == "user"
        moved = {**state, "pos_embed": resized(state["pos_embed"], GRID, size, other)}
        with torch.no_grad():
            assert_close(net(x), reference(moved, x)[0])
            if size != (GRID, GRID):
                assert not torch.allclose(net(x), reference(wanted, x)[0], atol=1e-3)


def test_whose_weights_they_are_is_read_off_keys_and_names(tmp_path: Path) -> None:
    found = {}
    for name in ("net.pth", "dino_deitsmall8_pretrain.pth", "vit_small_patch14_dinov2.pth"):
        _, report = load_checkpoint(in_memory(state_of("dino"), name))
        found[name] = report.flags["positions"]
    assert [(f.value, f.origin) for f in found.values()] == [
        ("timm", "preset"),
        ("dino", "file name"),
        ("dino", "file name"),
    ]
    assert "offset of 0.1" in found["dino_deitsmall8_pretrain.pth"].note
    masked = {**state_of("dino"), "decoder_embed.weight": torch.ones(5, DIM)}
    _, report = load_checkpoint(in_memory(masked, "mae_visualize_vit_large.pth"))
    flag = report.flags["positions"]
    assert (flag.value, flag.origin) == ("transformers", "key")
    with pytest.raises(NlvizError, match="one of timm, dino, transformers, got 'dinov2'"):
        load_checkpoint(in_memory(state_of("dino"), "net.pth"), positions="dinov2")


def test_rows_of_a_clip_follow_from_the_resized_table(tmp_path: Path) -> None:
    state = state_of("dinov2", depth=1)
    path = tmp_path / "dinov2_vits14_pretrain.pth"
    torch.save(state, path)
    clip = noise_clip(1, 3 * PATCH, 7 * PATCH)
    model = load_model(path, device="cpu", size=3 * PATCH)
    x = model.prepared(clip).tensor
    assert x.shape[-2:] == (3 * PATCH, 7 * PATCH)
    state["pos_embed"] = resized(state["pos_embed"], GRID, (3, 7), "dino")
    _, (rows,) = reference(state, x)
    found = model.capture(clip).affinities["blocks.0"]
    torch.testing.assert_close(found.dense(), rows[0][:, 1:], atol=1e-5, rtol=1e-4)
    assert model.net.cls_token.shape[-1] == DIM
