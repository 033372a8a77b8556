"""PyTorchVideo's SlowFast network against this project's."""

from __future__ import annotations

import re

import pytest
import torch

from nlviz.networks.presets import slow_fast
from nlviz.networks.slowfast import SlowFast, slow_frames
from tests.families.references import noise
from tests.originals.importing import original
from tests.originals.stirring import assert_equal, differ, stirred

FOLDED = (
    (r"^blocks\.0\.multipathway_blocks\.(\d)\.", r"\1.stem."),
    (r"^blocks\.6\.proj\.", "head."),
    (r"branch1_conv", "shortcut"),
    (r"branch1_norm", "shortcut_bn"),
    (r"branch2\.conv_([abc])", r"\1"),
    (r"branch2\.norm_([abc])", r"\1_bn"),
    (r"conv_fast_to_slow", "conv"),
    (r"norm\.", "bn."),
    (r"^0\.", "slow."),
    (r"^1\.", "fast."),
)


def own_name(key: str) -> str:
    """Return what one of PyTorchVideo's tensors is called here."""
    key = re.sub(r"^blocks\.(\d)\.multipathway_fusion", lambda m: f"fuse{int(m[1]) + 1}", key)
    key = re.sub(
        r"^blocks\.([1-4])\.multipathway_blocks\.(\d)\.res_blocks",
        lambda m: f"{m[2]}.res{int(m[1]) + 1}",
        key,
    )
    for pattern, new in FOLDED:
        key = re.sub(pattern, new, key)
    return key


@pytest.mark.parametrize(("alpha", "kernel"), [(4, 7), (8, 5)])
@torch.no_grad()
def test_slow_fast_computes_the_same(alpha: int, kernel: int) -> None:
    original("fvcore.nn.weight_init", skipping=("fvcore", "fvcore.nn"))  # the network needs it
    code = original("pytorchvideo.models.slowfast")
    torch.manual_seed(0)
    theirs = code.create_slowfast(
        model_num_class=9,
        slowfast_channel_reduction_ratio=(8,),
        slowfast_fusion_conv_kernel_size=(kernel, 1, 1),
        slowfast_fusion_conv_stride=(alpha, 1, 1),
        head_pool_kernel_sizes=((2, 2, 3), (2 * alpha, 2, 3)),
        head_activation=None,
    )
    state = {own_name(k): v for k, v in stirred(theirs, seed=alpha).items()}
    ours = SlowFast(slow_fast(50, alpha=alpha, fusion_kernel=kernel, classes=9)).eval()
    ours.load_state_dict(state)
    theirs, ours = theirs.double(), ours.double()
    clip = noise(1, 3, 2 * alpha, 50, 66).double()
    slow = clip[:, :, slow_frames(2 * alpha, alpha)]
    want = theirs([slow, clip])
    assert_equal(ours(clip), want)
    ours.fuse3.conv.weight.mul_(1.1)
    assert differ(ours(clip), want)
