"""What padding put beyond the picture is no query to ask for."""

from __future__ import annotations

import torch
from torchvision.models.swin_transformer import SwinTransformer

import nlviz
from nlviz.web.payloads.container import unpack
from nlviz.web.payloads.live_view import live_view
from tests.nets import noise_clip


def test_padding_is_among_the_keys_and_not_among_the_buttons() -> None:
    torch.manual_seed(0)
    net = SwinTransformer([4, 4], 12, [2], [3], [4, 4], num_classes=5).eval()
    spec = nlviz.InputSpec(sides=(36, 44), layout="frames")
    capture = nlviz.capture(net, noise_clip(1, 36, 44), input_spec=spec)
    name = next(iter(capture.affinities))
    affinity = capture.affinities[name]
    assert affinity.token_names
    assert all(token.startswith("padding.") for token in affinity.token_names)
    source = unpack(live_view(capture, name))[0]["sources"][0]
    assert source["prefix"] == len(affinity.token_names)
    assert not source.get("tokens")
