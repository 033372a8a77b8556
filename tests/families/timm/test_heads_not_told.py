"""The number of heads, which keys do not tell: by width where it is known, else told."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from timm.models.vision_transformer import VisionTransformer

import nlviz


def saved(path: Path, width: int, heads: int) -> str:
    net = VisionTransformer(
        img_size=32, patch_size=16, embed_dim=width, depth=1, num_heads=heads, mlp_ratio=0.5
    )
    torch.save(net.state_dict(), path)
    return str(path)


@pytest.mark.parametrize(("width", "heads"), [(192, 3), (768, 12), (1152, 16), (1280, 16)])
def test_published_widths_have_their_heads(width: int, heads: int, tmp_path: Path) -> None:
    model = nlviz.load_model(saved(tmp_path / "w.pth", width, heads))
    assert model.report is not None
    assert model.report.flags["heads"].value == heads
    assert not any("heads" in warning for warning in model.report.warnings)


def test_other_widths_are_told_with_what_was_taken(tmp_path: Path) -> None:
    path = saved(tmp_path / "w.pth", 96, 4)
    report = nlviz.load_model(path).report
    assert report is not None
    assert "the number of heads; 1 of 96 channels" in report.warnings[0]
    report = nlviz.load_model(path, heads=4).report
    assert report is not None
    assert not any("heads" in warning for warning in report.warnings)
