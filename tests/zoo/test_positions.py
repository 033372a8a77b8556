"""The flag positions of networks that are built rather than read: of timm and transformers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import nlviz
from nlviz.errors import NlvizError
from nlviz.families.reading.positions import WAYS, resized_positions
from nlviz.zoo.positions import positions_of, with_positions
from tests.nets import noise_clip

SIDE, PATCH = 5, 8


def saved(folder: Path, *, registers: bool) -> tuple[Path, Any]:
    """Save a DINOv2 as transformers does."""
    import transformers as hf

    kind = "Dinov2WithRegisters" if registers else "Dinov2"
    config = getattr(hf, f"{kind}Config")(
        hidden_size=12,
        num_attention_heads=3,
        num_hidden_layers=2,
        intermediate_size=16,
        image_size=SIDE * PATCH,
        patch_size=PATCH,
    )
    torch.manual_seed(3)
    net = getattr(hf, f"{kind}Model")(config).eval()
    for p in net.parameters():
        p.data = torch.randn(p.shape) * 0.4
    net.save_pretrained(folder)
    return folder, net


@pytest.mark.parametrize("registers", [False, True])
@pytest.mark.parametrize("way", [None, *WAYS])
def test_a_dinov2_of_transformers_is_resized_as_it_is_asked_for(
    registers: bool, way: str | None, tmp_path: Path
) -> None:
    folder, net = saved(tmp_path / "net", registers=registers)
    model = nlviz.load_model(folder, device="cpu", positions=way)
    flag = nlviz.inspect_weights(folder, positions=way).flags["positions"]
    own = "timm" if registers else "transformers"
    assert (flag.value, flag.origin) == (way or own, "user" if way else "preset")
    if way is None and not registers:
        assert "positions=dino" in flag.note
    table = net.embeddings.position_embeddings.data
    found = model.net.embeddings.interpolate_pos_encoding(
        torch.zeros(1, 22, 12), 3 * PATCH, 7 * PATCH
    )
    wanted = resized_positions(table, (SIDE, SIDE), (3, 7), way or own)
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-4)
    spec = nlviz.InputSpec(sides=(3 * PATCH, 7 * PATCH), layout="frames")
    model.input_spec = spec
    rows = model.capture(noise_clip(1, 24, 56)).affinities
    assert next(iter(rows.values())).queries.shape == (1, 3, 7)


def test_networks_of_timm_take_the_flag_where_they_resize() -> None:
    import timm

    net = timm.create_model(
        "vit_tiny_patch16_224", dynamic_img_size=True, depth=1, num_classes=0, img_size=48
    ).eval()
    assert positions_of(net)["positions"].origin == "preset"
    x = torch.randn(1, 3, 32, 80, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        before = net(x)
        with_positions(net, "net", "timm")
        torch.testing.assert_close(net(x), before)
        with_positions(net, "net", "dino")
        assert not torch.allclose(net(x), before, atol=1e-4)
    assert positions_of(net)["positions"].value == "dino"
    fixed = timm.create_model("vit_tiny_patch16_224", depth=1)
    assert positions_of(fixed) == {}
    for other in (fixed, nn.Linear(2, 3)):
        with pytest.raises(NlvizError, match="networks that resize a learned table"):
            with_positions(other, "net", "dino")
    with pytest.raises(NlvizError, match="one of timm, dino, transformers"):
        with_positions(net, "net", "plain")
