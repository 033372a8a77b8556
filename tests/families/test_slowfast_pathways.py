"""SlowFast's files with two pathways against the same computed from their own names."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from nlviz.errors import NlvizError, WeightsMismatch
from nlviz.zoo.checkpoints import inspect_checkpoint, load_checkpoint
from tests.families.references import (
    I3D,
    SIZES,
    SLOW_ONLY,
    Net,
    Weights,
    assert_same,
    differs,
    noise,
    normalised,
    shapes_of,
)
from tests.families.torch_names import NORM, State, doubled, network_of, state_of
from tests.families.writers.slowfast import (
    ALPHA,
    FILE,
    FIVE,
    NAMES,
    config,
    in_memory,
    names_of,
    written,
)

pytestmark = pytest.mark.slow


@dataclass
class TwoPathways(Net):
    """A slow pathway with lateral inputs from a fast one; everything but ``logits`` is the slow."""

    fast: Net = field(kw_only=True)
    state: State = field(kw_only=True)
    alpha: int = ALPHA

    def logits(self, x: Tensor) -> Tensor:
        every = torch.linspace(0, x.shape[2] - 1, x.shape[2] // self.alpha).long()
        s, f = self.stem(x[:, :, every]), self.fast.stem(x)
        for stage, count in zip((2, 3, 4, 5), SIZES[50], strict=True):
            fuse = f"s{stage - 1}_fuse"
            kernel = self.state[f"{fuse}.conv_f2s.weight"]
            joined = F.conv3d(
                f, kernel, stride=(self.alpha, 1, 1), padding=(kernel.shape[2] // 2, 0, 0)
            )
            joined = normalised(joined, *(self.state[f"{fuse}.bn.{e}"] for e in NORM))
            s = torch.cat([s, joined.relu()], dim=1)
            for i in range(count):
                s, f = self.residual(s, stage, i), self.fast.residual(f, stage, i)
        weight, bias = self.head
        return torch.cat([s.mean((2, 3, 4)), f.mean((2, 3, 4))], dim=1) @ weight.T + bias


def two_pathways(*, kernel: int = 7, seed: int = 3) -> State:
    """Return random tensors of SlowFast-NLN R50: beta 1/8, two lateral channels for each."""
    make = Weights(seed)
    state = state_of(NAMES, places=FIVE, temporal=SLOW_ONLY, seed=seed)

    def norm(prefix: str, channels: int, *, last: bool = False) -> None:
        values = make.norm(channels, last=last)
        state.update({f"{prefix}.{e}": v for e, v in zip(NORM, values, strict=True)})
        state[f"{prefix}.num_batches_tracked"] = torch.tensor(9)

    fast, threes = names_of(1), {s: (3,) * n for s, n in zip(I3D, SIZES[50], strict=True)}
    for part, (out, into, *rest) in shapes_of(50, threes, stem_kernel=5).items():
        narrow = into if part == "stem" else into // 8
        state[fast.conv(part)] = make.kernel(out // 8, narrow, *rest)
        norm(fast.norm(part), out // 8, last=part.endswith(".c"))
    for stage, slow_width, width in ((2, 64, 8), (3, 256, 32), (4, 512, 64), (5, 1024, 128)):
        fuse = f"s{stage - 1}_fuse"
        state[f"{fuse}.conv_f2s.weight"] = make.kernel(2 * width, width, kernel, 1, 1)
        norm(f"{fuse}.bn", 2 * width)
        for part in (f"{stage}.0.a", f"{stage}.0.shortcut"):
            out, into, *rest = state[NAMES.conv(part)].shape
            assert into == slow_width
            state[NAMES.conv(part)] = make.kernel(out, into + 2 * width, *rest)
    state["head.projection.weight"] = make.linear(400, 2048 + 256)
    return state


def both(state: State, *, alpha: int = ALPHA, mode: str = "dot_product") -> TwoPathways:
    ours = network_of(NAMES, state, places=FIVE, block={"mode": mode})
    fast = network_of(names_of(1), state, places=())
    return TwoPathways(
        ours.depth,
        ours.conv,
        ours.norm,
        ours.head,
        ours.blocks,
        fast=fast,
        state=state,
        alpha=alpha,
    )


@pytest.fixture(scope="module")
def wide() -> State:
    return two_pathways()


@pytest.mark.slow
def test_slowfast_has_blocks_in_its_slow_pathway(wide: State, tmp_path: Path) -> None:
    torch.save(written(wide, config("slowfast", "dot_product", 32, 2)), tmp_path / FILE)
    net, report = load_checkpoint(tmp_path / FILE)
    assert report.complete
    assert report.matched == len(wide)
    assert report.architecture == "SlowFast R50 with 5 non-local blocks"
    assert [b.name for b in report.blocks] == [f"res{s}.{i}" for s, i in FIVE]
    for flag, value in (("pairwise", "dot_product"), ("alpha", ALPHA), ("frames", 32)):
        assert (report.flags[flag].value, report.flags[flag].origin) == (value, "config")
    assert report.input_spec is not None
    assert report.input_spec.least_frames == ALPHA
    net, state, x = net.double(), doubled(wide), noise(1, 3, 12, 34, 46).double()
    assert_same(net, both(state), x)
    assert differs(net, both(state, alpha=2), x)
    assert differs(net, both(state, mode="embedded_gaussian"), x)
    other = dict(state)
    for end in ("weight", "bias"):  # of the fast pathway's next residual block
        key = "s3.pathway1_res{}.branch2.a_bn." + end
        other[key.format(1)] = state[key.format(2)]
    assert differs(net, both(other), x)


@pytest.mark.slow
def test_alpha_and_the_lateral_kernel_of_slowfast_4x16() -> None:
    state = two_pathways(kernel=5, seed=4)
    net, report = load_checkpoint(in_memory(state, name="SLOWFAST_NLN_4x16_R50.pyth"))
    assert (report.flags["alpha"].value, report.flags["alpha"].origin) == (8, "file name")
    assert (report.flags["frames"].value, report.flags["stride"].value) == (32, 2)
    assert report.flags["pairwise"].value == "dot_product"
    net, state, x = net.double(), doubled(state), noise(1, 3, 16, 46, 34).double()
    assert_same(net, both(state, alpha=8), x)
    assert differs(net, both(state), x)
    with pytest.raises(NlvizError, match="a multiple of 8 frames, got 12"):
        net(noise(1, 3, 12, 34, 46).double())


def test_two_pathways_with_a_key_of_another_name(wide: State) -> None:
    cfg = config("slowfast", "dot_product", 32, 2)
    block = {
        k.replace("s3.pathway0_nonlocal1", "s3.pathway1_nonlocal1"): v for k, v in wide.items()
    }
    report = inspect_checkpoint(in_memory(block, cfg))
    assert len(report.unexpected) == 13
    assert all(k.startswith("s3.pathway1_nonlocal1") for k in report.unexpected)
    lateral = {k.replace("s2_fuse.conv_f2s", "s2_fuse.conv"): v for k, v in wide.items()}
    report = inspect_checkpoint(in_memory(lateral, cfg))
    assert report.unexpected == ("s2_fuse.conv.weight",)
    assert report.missing == ("fuse2.conv.weight",)
    none = {k: v for k, v in wide.items() if not k.startswith("s1_fuse")}
    with pytest.raises(WeightsMismatch, match=r"needs the lateral kernels s1_fuse\.conv_f2s"):
        load_checkpoint(in_memory(none, cfg))
    narrow = {**wide, "s1.pathway1_stem.conv.weight": noise(65, 3, 5, 7, 7)}
    with pytest.raises(WeightsMismatch, match="no more channels than the slow one"):
        load_checkpoint(in_memory(narrow, cfg))
    scalar = {**wide, "s1.pathway0_stem.conv.weight": torch.tensor(1.0)}
    with pytest.raises(WeightsMismatch, match="must be a kernel"):
        load_checkpoint(in_memory(scalar, cfg))


@pytest.mark.parametrize(
    ("name", "alpha", "frames", "stride"),
    [
        ("SLOWFAST_NLN_8x8_R50.pyth", None, 32, 2),
        ("SLOWFAST_NLN_8x8_R50.pyth", 8, 64, 1),
        ("SLOWFAST_NLN_16x2_R50.pyth", None, 64, 1),
        ("SLOWFAST.pyth", 2, 16, 4),
    ],
)
def test_frames_and_stride_of_a_name(
    wide: State, name: str, alpha: int | None, frames: int, stride: int
) -> None:
    """The name has the slow pathway's frames, the network takes the fast one's."""
    report = inspect_checkpoint(in_memory(wide, name=name), alpha=alpha)
    assert (report.flags["frames"].value, report.flags["stride"].value) == (frames, stride)
