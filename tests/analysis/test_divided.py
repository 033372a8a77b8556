"""Which blocks of a network are one divided layer, and its cross and composition as variants."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import nlviz
from nlviz.affinity.base import Affinity
from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.affinity.grid import TokenGrid
from nlviz.affinity.key_sets import KeySets
from nlviz.affinity.lines import Lines
from nlviz.affinity.pairwise import Pairwise
from nlviz.affinity.several import ComposedAffinity, CrossAffinity
from nlviz.affinity.support import FrameGroups, Support
from nlviz.affinity.variants import COMPOSED, CROSS
from nlviz.analysis.controls import variant_affinity, variants
from nlviz.analysis.divided import divided_layer
from nlviz.captures.capture import Capture
from tests.nets import noise_clip

T, H, W, D = 3, 4, 5, 6


def block(support: Support, shape: tuple[int, int, int] = (T, H, W)) -> EmbeddedAffinity:
    grid = TokenGrid(shape)
    theta, phi = torch.randn(2, 1, grid.size, 3)
    return EmbeddedAffinity("block", Pairwise("gaussian"), theta, phi, grid, grid, support)


def layer(name: str, *kinds: str) -> dict[str, Affinity]:
    made = {
        "time": Lines(("t",)),
        "space": FrameGroups(1),
        "row": Lines(("x",)),
        "column": Lines(("y",)),
    }
    return {f"{name}.{kind}": block(made[kind]) for kind in kinds}


def test_layers_are_found_by_what_their_queries_reach() -> None:
    both = {**layer("0", "time", "space"), **layer("1", "time", "space")}
    assert divided_layer(both, "0.space") == ("0.time", "0.space")
    assert divided_layer(both, "1.time") == ("1.time", "1.space")
    axes = layer("a", "time", "column", "row")
    assert divided_layer(axes, "a.column") == ("a.time", "a.column", "a.row")


def test_a_product_that_stands_alone_belongs_to_no_layer() -> None:
    odd = {**layer("0", "space"), **layer("1", "time", "space")}
    assert divided_layer(odd, "0.space") == ()
    assert divided_layer(odd, "1.space") == ("1.time", "1.space")
    assert divided_layer(layer("0", "time", "row"), "0.row") == ()  # no column is reached
    assert divided_layer(layer("0", "space", "row"), "0.row") == ()  # a row is of its frame
    everywhere = {"a": block(Support()), "b": block(Support())}
    assert divided_layer(everywhere, "b") == ()


def test_windows_beside_far_cells_are_no_lines_but_a_layer_where_they_fill_the_grid() -> None:
    shape = (1, 4, 6)
    places = torch.cartesian_prod(torch.arange(4), torch.arange(6))
    near = places[:, 0] // 2 * 3 + places[:, 1] // 2
    far = places[:, 0] % 2 * 2 + places[:, 1] % 2
    sets = [KeySets.of(of, of.unique()[:, None] == of) for of in (near, far)]
    found = {f"0.{n}": block(s, shape) for n, s in zip(("near", "far"), sets, strict=True)}
    assert divided_layer(found, "0.far") == ("0.near", "0.far")


class Divided(nn.Module):
    """Time, then space, each with a class token of its own in every frame or none."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv_time, self.qkv_space = nn.Linear(D, 3 * D), nn.Linear(D, 3 * D)

    @staticmethod
    def attend(x: Tensor, layer: nn.Linear) -> Tensor:
        q, k, v = layer(x).unflatten(-1, (3, 2, D // 2)).permute(2, 0, 3, 1, 4)
        weights = (q @ k.transpose(-2, -1) * 1.7).softmax(-1)
        return x + (weights @ v).transpose(1, 2).flatten(2)

    def forward(self, x: Tensor) -> Tensor:
        moved = x.permute(3, 4, 0, 2, 1).reshape(H * W, T, D)
        x = self.attend(moved, self.qkv_time).view(H * W, T, D).transpose(0, 1)
        return self.attend(x, self.qkv_space).reshape(T, H, W, D)


class Net(nn.Module):
    """A stem, a divided layer and a mean."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv3d(3, D, (1, 4, 4), (1, 4, 4))
        self.attention = Divided()

    def forward(self, x: Tensor) -> Tensor:
        return self.attention(self.stem(x)).mean((0, 1, 2))[None]


@pytest.fixture(scope="module")
def capture() -> Capture:
    torch.manual_seed(3)
    spec = nlviz.InputSpec(sides=(4 * H, 4 * W), layout="clip")
    return nlviz.capture(Net().eval(), noise_clip(T, 4 * H, 4 * W), input_spec=spec)


def test_both_are_variants_of_each_block_of_the_layer(capture: Capture) -> None:
    names = [*capture.affinities]
    assert names == ["attention", "attention/2"]
    time, space = capture.affinities.values()
    for name in names:
        assert variants(capture, name)[-2:] == [CROSS, COMPOSED]
        both, after = (variant_affinity(v, capture, name) for v in (CROSS, COMPOSED))
        assert isinstance(both, CrossAffinity)
        assert isinstance(after, ComposedAffinity)
        assert torch.allclose(both.dense(), time.dense() + space.dense(), atol=1e-6)
        matrices = [a.dense().double().mean(0) for a in (time, space)]
        assert torch.allclose(after.dense()[0].double(), matrices[1] @ matrices[0], atol=1e-6)
        assert after.name == "attention: spatial after temporal"


def test_they_are_there_in_a_saved_capture_and_in_figures(capture: Capture, tmp_path: Path) -> None:
    again = nlviz.read_capture(capture.save(tmp_path / "divided.nlviz"))
    for variant in (CROSS, COMPOSED):
        one, two = (variant_affinity(variant, c, "attention/2") for c in (capture, again))
        assert torch.equal(one.dense(), two.dense())
