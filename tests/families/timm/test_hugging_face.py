"""Files by Hugging Face's names against the library transformers itself, on the same weights."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

import nlviz
from nlviz.errors import NlvizError, WeightsMismatch
from tests.nets import noise_clip

SIDE, PATCH, HEADS, DEPTH = 5, 8, 3, 2
COMMON: dict[str, Any] = {
    "hidden_size": 24,
    "num_attention_heads": HEADS,
    "num_hidden_layers": DEPTH,
    "intermediate_size": 40,
    "image_size": SIDE * PATCH,
    "patch_size": PATCH,
}


def net_of(kind: str, config: str, **options: Any) -> Any:
    import transformers as hf

    torch.manual_seed(4)
    made = getattr(hf, f"{config}Config")(**COMMON, **options)
    net = getattr(hf, kind)._from_config(made, attn_implementation="eager").eval()
    for p in net.parameters():
        p.data = torch.randn(p.shape) * 0.3
    return net


KINDS: dict[str, Callable[[], Any]] = {
    "DINOv2": lambda: net_of("Dinov2Model", "Dinov2"),
    "DINOv2, gated": lambda: net_of("Dinov2Model", "Dinov2", use_swiglu_ffn=True),
    "DINOv2, a classifier": lambda: net_of("Dinov2ForImageClassification", "Dinov2", num_labels=5),
    "DINOv2, registers": lambda: net_of(
        "Dinov2WithRegistersModel", "Dinov2WithRegisters", num_register_tokens=2
    ),
    "ViT": lambda: net_of("ViTModel", "ViT"),
    "ViT, a classifier": lambda: net_of("ViTForImageClassification", "ViT", num_labels=5),
    "ViT, no bias": lambda: net_of("ViTModel", "ViT", qkv_bias=False),
    "DeiT": lambda: net_of("DeiTForImageClassificationWithTeacher", "DeiT", num_labels=5),
    "MSN": lambda: net_of("ViTMSNModel", "ViTMSN"),
}


def alone(net: Any, folder: Path) -> Path:
    """Return the file of weights that the library saves, without what lies beside it."""
    net.save_pretrained(folder / "saved")
    path = folder / "alone" / "model.safetensors"
    path.parent.mkdir()
    save_file(load_file(folder / "saved" / "model.safetensors"), path)
    return path


def rows_of(net: Any, x: Tensor) -> list[Tensor]:
    with torch.no_grad():
        return list(net(x, output_attentions=True).attentions)


@pytest.mark.parametrize("kind", KINDS)
def test_rows_are_those_of_the_library(kind: str, tmp_path: Path) -> None:
    net = KINDS[kind]()
    path = alone(net, tmp_path)
    report = nlviz.inspect_weights(path)
    assert (report.family, report.faults, report.complete) == ("timm-hugging-face", "", True)
    sizes = [(SIDE, SIDE)] + ([(3, 7), (8, 4)] if "DINOv2" in kind else [])
    for rows, columns in sizes:
        model = nlviz.load_model(path, device="cpu", heads=HEADS)
        spec = nlviz.InputSpec(sides=(rows * PATCH, columns * PATCH), layout="frames")
        model.input_spec = spec
        clip = noise_clip(1, rows * PATCH, columns * PATCH)
        capture = model.capture(clip)
        assert list(capture.affinities) == [f"blocks.{i}" for i in range(DEPTH)]
        wanted = rows_of(net, model.prepared(clip).tensor)
        for affinity, row in zip(capture.affinities.values(), wanted, strict=True):
            prefix = row.shape[-1] - rows * columns
            torch.testing.assert_close(affinity.dense(), row[0][:, prefix:], atol=2e-5, rtol=1e-3)
            assert float(row.std()) > 1e-3


def test_logits_are_those_of_the_library(tmp_path: Path) -> None:
    net = KINDS["ViT, a classifier"]()
    model = nlviz.load_model(alone(net, tmp_path), device="cpu", heads=HEADS)
    clip = noise_clip(1, SIDE * PATCH, SIDE * PATCH)
    with torch.no_grad():
        wanted = net(model.prepared(clip).tensor).logits[0]
    torch.testing.assert_close(model.logits(clip), wanted, atol=1e-4, rtol=1e-4)


def test_what_lies_beside_the_file_is_taken(tmp_path: Path) -> None:
    net = KINDS["ViT"]()
    path = alone(net, tmp_path)
    told = {"image_mean": [0.5] * 3, "image_std": [0.25] * 3, "size": {"height": 48, "width": 48}}
    (path.parent / "preprocessor_config.json").write_text(json.dumps(told))
    report = nlviz.inspect_weights(path)
    assert report.input_spec is not None
    assert report.input_spec.normalisation() == ((127.5,) * 3, (63.75,) * 3)
    assert report.input_spec.size == 48
    assert report.flags["heads"].origin == "preset"
    (path.parent / "config.json").write_text(json.dumps({"num_attention_heads": HEADS}))
    flag = nlviz.inspect_weights(path).flags["heads"]
    assert (flag.value, flag.origin) == (HEADS, "config")
    assert flag.value == nlviz.inspect_weights(path, heads=HEADS).flags["heads"].value
    with pytest.raises(NlvizError, match="says 3 heads, heads=6 something else"):
        nlviz.load_model(path, heads=6)


def test_a_folder_with_a_flag_is_read_as_weights_and_without_one_by_the_library(
    tmp_path: Path,
) -> None:
    net = KINDS["DINOv2"]()
    net.save_pretrained(tmp_path)
    clip = noise_clip(1, SIDE * PATCH, SIDE * PATCH)
    by_library = nlviz.load_model(tmp_path, device="cpu")
    as_weights = nlviz.load_model(tmp_path, device="cpu", heads=HEADS)
    by_library.input_spec = as_weights.input_spec  # the library's own mean is another
    theirs, ours = (m.capture(clip).affinities for m in (by_library, as_weights))
    assert [len(theirs), list(ours)] == [DEPTH, ["blocks.0", "blocks.1"]]
    for one, other in zip(theirs.values(), ours.values(), strict=True):
        torch.testing.assert_close(one.dense(), other.dense(), atol=1e-5, rtol=1e-3)
    assert nlviz.inspect_weights(tmp_path, heads=HEADS).family == "timm-hugging-face"


def test_flags_that_no_layout_knows_are_refused(tmp_path: Path) -> None:
    import transformers as hf

    small = {**COMMON, "num_frames": 2}
    hf.TimesformerModel(hf.TimesformerConfig(**small)).save_pretrained(tmp_path)
    with pytest.raises(NlvizError, match="the flag heads changes nothing"):
        nlviz.load_model(tmp_path, heads=HEADS)


def test_an_incomplete_file_is_named(tmp_path: Path) -> None:
    path = alone(KINDS["ViT"](), tmp_path)
    tensors = load_file(path)
    del tensors["encoder.layer.1.attention.attention.value.weight"]
    save_file(tensors, path)
    with pytest.raises(WeightsMismatch, match=r"lacks encoder\.layer\.1.*value\.weight"):
        nlviz.load_model(path)
