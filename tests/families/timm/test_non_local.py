"""timm's own non-local attention, alone and in a network of timm."""

from __future__ import annotations

import timm
import torch
from timm.layers.non_local_attn import NonLocalAttn
from torch.nn import functional as F

import nlviz
from nlviz.families.reading.adapter import InputSpec
from tests.families.references import assert_close
from tests.families.stand_ins import shaken
from tests.nets import noise_clip


def test_blocks_of_a_network_of_timm() -> None:
    torch.manual_seed(0)
    net = timm.create_model("resnet18", block_args={"attn_layer": "nl"}, num_classes=5).eval()
    names = [n for n, m in net.named_modules() if isinstance(m, NonLocalAttn)]
    assert len(names) == 8
    for name in names:
        shaken(net.get_submodule(name))
    clip = noise_clip(2, 64, 96)
    capture = nlviz.capture(net, clip, input_spec=InputSpec(size=64, layout="frames"))
    assert list(capture.affinities) == names
    for name, stride in ((names[0], 4), (names[2], 8), (names[-1], 32)):
        affinity = capture.affinities[name]
        block, x = net.get_submodule(name), capture.features[name].transpose(0, 1)
        assert affinity.queries.shape == (2, 64 // stride, 96 // stride)
        assert affinity.queries.stride == (1.0, stride, stride)
        assert affinity.queries.centre(0) == (0.0, 0.0, 0.0)

        with torch.no_grad():
            t, p = (F.conv2d(x, m.weight, m.bias).flatten(2) for m in (block.t, block.p))
            logits = t.mT @ p * x.shape[1] ** -0.5
        assert_close(affinity.dense()[0], torch.block_diag(*logits.softmax(-1)))
