"""Whole networks against the same in plain tensor operations, and how far a wrong flag is off."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from nlviz.errors import NlvizError
from nlviz.networks.presets import c2d, five_blocks, i3d, slow_fast, slow_only, tsm
from nlviz.networks.slowfast import Fuse, SlowFast, SlowFastSpec, slow_frames
from nlviz.networks.video_resnet import NonLocalSpec, VideoResNet, VideoResNetSpec
from tests.networks.drawing import drawn, noise, relative
from tests.networks.plain import Block, Plain, norm

pytestmark = pytest.mark.slow

TWO = {(3, 0): Block(), (4, 1): Block()}
PLACES = tuple(TWO)
LONG = NonLocalSpec(frames_per_group=2)
# name -> specification, the same in plain words, frames, and wrong words that must be noticed
CASES: dict[str, tuple[VideoResNetSpec, Plain, int, list[Plain]]] = {
    "C2D with two blocks": (
        c2d(18, places=PLACES, classes=9),
        Plain(pool2=2, blocks=TWO),
        5,
        [
            Plain(pool2=1, blocks=TWO),
            Plain(pool2=2, pad=0, blocks=TWO),
            Plain(pool2=2, blocks={**TWO, (3, 0): Block(scale=False)}),
            Plain(pool2=2, blocks={**TWO, (3, 0): Block(pool_first=False)}),
            Plain(pool2=2, blocks={**TWO, (4, 1): Block(pool=1)}),
            Plain(pool2=2, blocks={**TWO, (4, 1): Block(mode="dot_product", scale=False)}),
        ],
    ),
    "C2D of the original code, 32 frames, in groups": (
        replace(
            c2d(18, frames=32, caffe2=True, pool2=False, classes=9),
            non_local={(3, 0): LONG, (4, 1): NonLocalSpec()},
        ),
        Plain(stem_stride=2, pool1=(2, 2), pad=0, blocks={**TWO, (3, 0): Block(group=2)}),
        17,
        [
            Plain(stem_stride=2, pool1=(2, 2), pad=0, blocks=TWO),
            Plain(stem_stride=2, pool1=(1, 2), pad=0, blocks={**TWO, (3, 0): Block(group=2)}),
            Plain(stem_stride=2, pool1=(2, 2), pad=1, blocks={**TWO, (3, 0): Block(group=2)}),
            Plain(stem_stride=2, pool1=(2, 2), pad=0, blocks={**TWO, (3, 0): Block(group=4)}),
        ],
    ),
    "TSM": (
        tsm(18, places=PLACES, classes=9),
        Plain(shift=True, blocks=dict.fromkeys(PLACES, Block(scale=False, pool_first=False))),
        3,
        [
            Plain(blocks=dict.fromkeys(PLACES, Block(scale=False, pool_first=False))),
            Plain(shift=True, blocks=dict.fromkeys(PLACES, Block(scale=False))),
        ],
    ),
    "a temporal kernel in front of a 3x3": (
        VideoResNetSpec(depth=34, temporal={4: (3, 1, 5, 1, 3, 1)}, stem_kernel=3, classes=9),
        Plain(depth=34),
        4,
        [Plain(depth=34, pool2=2)],
    ),
    "I3D of 50 layers": (
        i3d(50, frames=32, places=((3, 3), (4, 5)), classes=9),
        Plain(
            depth=50,
            stem_stride=2,
            pool1=(1, 2),
            pool2=2,
            blocks={(3, 3): Block(), (4, 5): Block()},
        ),
        11,
        [Plain(50, 1, (1, 2), 1, 2, blocks={(3, 3): Block(), (4, 5): Block()})],
    ),
    "SlowOnly, Gaussian": (
        slow_only(50, places=((4, 2),), block=NonLocalSpec("gaussian", scale=False), classes=9),
        Plain(depth=50, blocks={(4, 2): Block("gaussian", scale=False)}),
        2,
        [Plain(depth=50)],
    ),
}


@pytest.mark.parametrize("name", CASES)
@torch.no_grad()
def test_a_network_is_what_its_formula_says(name: str) -> None:
    spec, plain, frames, wrong = CASES[name]
    net = drawn(VideoResNet(spec))
    state = {k: v.double() for k, v in net.state_dict().items()}
    clip = noise(2, 3, frames, 42, 54)
    logits = net(clip).double()
    assert relative(logits, plain.logits(state, clip.double())) < 1e-5
    for other in wrong:
        assert relative(logits, other.logits(state, clip.double())) > 1e-4, other


@torch.no_grad()
def test_a_block_one_position_further_is_another_network() -> None:
    spec = c2d(18, places=((3, 0),), classes=9)
    net = drawn(VideoResNet(spec))
    state = {k: v.double() for k, v in net.state_dict().items()}
    clip = noise(1, 3, 3, 42, 54)
    moved = VideoResNet(c2d(18, places=((3, 1),), classes=9)).eval()
    moved.load_state_dict({k.replace("res3.0.nl", "res3.1.nl"): v for k, v in state.items()})
    plain = Plain(pool2=2, blocks={(3, 0): Block()})
    assert relative(net(clip).double(), plain.logits(state, clip.double())) < 1e-5
    assert relative(moved(clip).double(), plain.logits(state, clip.double())) > 1e-3


@pytest.mark.parametrize(
    "build",
    [
        lambda: VideoResNet(i3d(50, places=five_blocks(50))),
        lambda: SlowFast(slow_fast(50, places=((4, 1),))),
    ],
)
@torch.no_grad()
def test_networks_are_built_without_memory_and_take_weights_as_they_are(
    build: Callable[[], VideoResNet | SlowFast],
) -> None:
    net = drawn(build())
    state = net.state_dict()
    with torch.device("meta"):
        empty = build()
    assert all(t.is_meta for t in empty.state_dict().values())
    assert set(empty.state_dict()) == {
        n for n, _ in (*net.named_parameters(), *net.named_buffers())
    }
    empty.load_state_dict(state, assign=True)
    assert all(
        a.data_ptr() == b.data_ptr()
        for a, b in zip(empty.state_dict().values(), state.values(), strict=True)
    )
    clip = noise(1, 3, 8, 34, 46)
    assert torch.equal(empty.eval()(clip), net(clip))


@torch.no_grad()
def test_pooling_with_gradients_and_without_is_the_same() -> None:
    net = drawn(VideoResNet(c2d(18, frames=32, caffe2=True, places=PLACES, classes=9)))
    clip = noise(1, 3, 15, 51, 67)
    with torch.enable_grad():
        slow = net(clip.clone().requires_grad_())
    assert slow.requires_grad
    assert relative(net(clip), slow.detach()) < 1e-5


# SlowFast -----------------------------------------------------------------------------------------

SPEC = SlowFastSpec(
    slow=VideoResNetSpec(depth=18, non_local={(4, 0): NonLocalSpec("dot_product")}, classes=9),
    fast=VideoResNetSpec(depth=18, stem_kernel=5, temporal={2: (3, 3), 3: (3, 1)}),
    alpha=3,
    beta_inverse=4,
    fusion_kernel=5,
)
SLOW, FAST = Plain(blocks={(4, 0): Block("dot_product")}), Plain()


def slow_fast_logits(state: dict[str, Tensor], clip: Tensor, seen: list[int], alpha: int) -> Tensor:
    slow = SLOW.stem(state, clip[:, :, seen], "slow.")
    fast = FAST.stem(state, clip, "fast.")
    for n in (1, 2, 3, 4):
        kernel = state[f"fuse{n}.conv.weight"]
        pad = (kernel.shape[2] // 2, 0, 0)
        lateral = torch.nn.functional.conv3d(fast, kernel, None, (alpha, 1, 1), pad)
        lateral = norm(state, f"fuse{n}.bn", lateral).clamp(min=0)
        slow = SLOW.stage(state, n + 1, torch.cat([slow, lateral], 1), "slow.")
        fast = FAST.stage(state, n + 1, fast, "fast.")
    means = [x.flatten(2).mean(-1) for x in (slow, fast)]
    return torch.cat(means, 1) @ state["head.weight"].T + state["head.bias"]


@torch.no_grad()
def test_slow_fast_is_what_its_formula_says() -> None:
    net = drawn(SlowFast(SPEC))
    # The block adds little beside what the scaled inner products of dot_product would.
    net.get_submodule("slow.res4.0.nl.bn").weight.mul_(0.3)
    state = {k: v.double() for k, v in net.state_dict().items()}
    clip = noise(1, 3, 9, 42, 54)
    logits = net(clip).double()
    # numpy's linspace(0, 8, 3), cut off
    assert relative(logits, slow_fast_logits(state, clip.double(), [0, 4, 8], 3)) < 1e-5
    assert relative(logits, slow_fast_logits(state, clip.double(), [0, 3, 6], 3)) > 1e-3


def test_the_slow_pathway_takes_frames_from_the_first_to_the_last() -> None:
    assert slow_frames(16, 8).tolist() == [0, 15]
    assert slow_frames(64, 4).tolist() == [int(i * 63 / 15) for i in range(16)]
    assert slow_frames(4, 4).tolist() == [0]
    with pytest.raises(NlvizError, match=r"multiple of 4 frames, got 31; take 28"):
        slow_frames(31, 4)


@torch.no_grad()
def test_lateral_connections_end_in_a_rectifier() -> None:
    fuse = drawn(Fuse(8, SPEC))
    out = fuse(noise(1, 5, 2, 3, 4), noise(1, 8, 6, 3, 4, seed=1))
    assert out.shape == (1, 5 + 16, 2, 3, 4)
    assert float(out[:, 5:].min()) == 0
    assert torch.equal(out[:, :5], noise(1, 5, 2, 3, 4))
