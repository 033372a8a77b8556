"""Vision transformers against the same computed in plain tensors from their files' own names."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.errors import NlvizError, WeightsMismatch
from nlviz.zoo.checkpoints import inspect_checkpoint, load_checkpoint
from nlviz.zoo.load import load_model
from tests.families.references import assert_close
from tests.families.torch_names import State, in_memory
from tests.families.writers.timm_vit import DEPTH, DIM, FRAMES, GRID, HEADS, PATCH, state_of
from tests.nets import noise_clip


def reference(w: State, x: Tensor, *, heads: int = HEADS) -> tuple[Tensor, list[Tensor]]:
    """Return features or logits, and the rows of every block (frames, heads, tokens, tokens)."""

    def norm(x: Tensor, p: str) -> Tensor:
        x = x - x.mean(-1, keepdim=True)
        x = x / (x.square().mean(-1, keepdim=True) + 1e-6).sqrt()
        return x * w[f"{p}.weight"] + w[f"{p}.bias"]

    def linear(x: Tensor, p: str) -> Tensor:
        return x @ w[f"{p}.weight"].T + w[f"{p}.bias"]

    b = len(x)
    cells = x.unfold(2, PATCH, PATCH).unfold(3, PATCH, PATCH)  # (b, 3, h, w, PATCH, PATCH)
    kernel = w["patch_embed.proj.weight"]
    x = torch.einsum("bchwij,dcij->bhwd", cells, kernel).flatten(1, 2) + w["patch_embed.proj.bias"]
    tokens = [w[k].expand(b, -1, -1) for k in ("cls_token", "dist_token") if k in w]
    if "reg_token" in w:  # timm's: positions are of patches alone
        x = torch.cat([*tokens, w["reg_token"].expand(b, -1, -1), x + w["pos_embed"]], 1)
    else:
        x = torch.cat([*tokens, x], 1) + w["pos_embed"]
    if "register_tokens" in w:  # DINOv2's: behind the class token, without a position
        x = torch.cat([x[:, :1], w["register_tokens"].expand(b, -1, -1), x[:, 1:]], 1)
    rows = []
    depth = sum(k.endswith("attn.qkv.weight") for k in w)
    for i in range(depth):
        p = f"blocks.{i}"
        qkv = linear(norm(x, f"{p}.norm1"), f"{p}.attn.qkv")
        q, k, v = (t.reshape(*t.shape[:2], heads, -1).transpose(1, 2) for t in qkv.chunk(3, -1))
        if f"{p}.attn.q_norm.weight" in w:
            q, k = norm(q, f"{p}.attn.q_norm"), norm(k, f"{p}.attn.k_norm")
        logits = q @ k.mT / q.shape[-1] ** 0.5
        rows.append(logits.exp() / logits.exp().sum(-1, keepdim=True))
        y = linear((rows[-1] @ v).transpose(1, 2).flatten(2), f"{p}.attn.proj")
        x = x + y * w.get(f"{p}.ls1.gamma", torch.ones(()))
        y = norm(x, f"{p}.norm2")
        if f"{p}.mlp.w12.weight" in w:
            gate, y = linear(y, f"{p}.mlp.w12").chunk(2, -1)
            y = linear(gate * gate.sigmoid() * y, f"{p}.mlp.w3")
        else:
            y = linear(y, f"{p}.mlp.fc1")
            y = linear(y * (1 + torch.erf(y / 2**0.5)) / 2, f"{p}.mlp.fc2")
        x = x + y * w.get(f"{p}.ls2.gamma", torch.ones(()))
    x = norm(x, "norm")
    if "head_dist.weight" in w:
        return (linear(x[:, 0], "head") + linear(x[:, 1], "head_dist")) / 2, rows
    return (linear(x[:, 0], "head") if "head.weight" in w else x[:, 0]), rows


KINDS = ("dino", "dinov2", "dinov2_reg", "giant", "deit", "timm_reg", "timm_norm")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("safe", [False, True])
def test_rows_and_output_are_those_of_the_formula(kind: str, safe: bool, tmp_path: Path) -> None:
    state = state_of(kind, classes=7 if kind in ("deit", "timm_reg", "timm_norm") else 0)
    path = tmp_path / ("net.safetensors" if safe else "net.pth")
    if safe:
        save_file(state, path)
    else:
        torch.save(state, path)
    side = GRID * PATCH
    clip = noise_clip(FRAMES, side, side)
    model = load_model(path, device="cpu")
    report = model.report
    assert report is not None
    assert (report.family, report.complete) == ("timm-vit", True)
    assert report.flags["heads"].value == HEADS
    assert report.flags["heads"].origin == ("shape" if kind == "timm_norm" else "preset")
    assert report.flags["size"].value == side
    assert tuple(report.dropped) == (("mask_token",) if "mask_token" in state else ())
    x = model.adapter.prepare(model.net, clip, model.input_spec).tensor
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    pixels = torch.tensor(clip.frames).float() / 255
    assert_close(x, ((pixels - mean) / std).permute(0, 3, 1, 2))
    expected, rows = reference(state, x)
    with torch.no_grad():
        assert_close(model.net(x), expected)
    capture = model.capture(clip)
    if report.labels or "head.weight" in state:
        assert capture.logits is not None
        assert_close(capture.logits, expected.mean(0))
    else:
        assert capture.logits is None
    assert list(capture.affinities) == [f"blocks.{i}" for i in range(DEPTH)]
    n = GRID * GRID
    for affinity, row in zip(capture.affinities.values(), rows, strict=True):
        assert isinstance(affinity, EmbeddedAffinity)
        prefix = row.shape[-1] - n
        found = affinity.dense()
        for t in range(FRAMES):
            ours = slice(FRAMES * prefix + t * n, FRAMES * prefix + (t + 1) * n)
            own = slice(t * prefix, (t + 1) * prefix)
            at = torch.cat([torch.arange(found.shape[-1])[s] for s in (own, ours)])
            queries = at if found.shape[1] == found.shape[2] else torch.arange(t * n, (t + 1) * n)
            block = found[:, queries][:, :, at]
            assert_close(block[:, -n:], row[t][:, -n:])
            assert float(row[t].std()) > 1e-3  # else anything would agree


def test_training_files_of_dino_and_dinov2() -> None:
    state = state_of("dinov2")
    x = torch.randn(2, 3, GRID * PATCH, GRID * PATCH, generator=torch.Generator().manual_seed(1))
    expected, _ = reference(state, x)
    dino: State = {f"module.backbone.{k}": v for k, v in state.items()}
    dino["module.head.mlp.0.weight"] = torch.ones(11, DIM)
    dino["module.head.last_layer.weight_v"] = torch.ones(13, 11)
    net, report = load_checkpoint(in_memory(dino, "checkpoint.pth", "teacher"))
    assert_close(net(x).detach(), expected)
    assert set(report.dropped) == {
        "module.backbone.mask_token",
        "module.head.mlp.0.weight",
        "module.head.last_layer.weight_v",
    }
    chunked = {
        f"backbone.{k.replace('blocks.', 'blocks.1.')}" if "blocks." in k else f"backbone.{k}": v
        for k, v in state.items()
    }
    net, _ = load_checkpoint(in_memory(chunked, "teacher_checkpoint.pth", "teacher"))
    assert_close(net(x).detach(), expected)


def test_a_teacher_is_taken_from_a_file(tmp_path: Path) -> None:
    state = state_of("dino")
    path = tmp_path / "checkpoint.pth"
    other = {f"module.{k}": v + 1 for k, v in state.items()}
    torch.save({"student": other, "teacher": {f"backbone.{k}": v for k, v in state.items()}}, path)
    net, _ = load_checkpoint(path)
    torch.testing.assert_close(net.state_dict()["cls_token"], state["cls_token"])


def test_another_number_of_heads_is_another_network() -> None:
    state = state_of("dino")
    x = torch.randn(2, 3, GRID * PATCH, GRID * PATCH, generator=torch.Generator().manual_seed(1))
    net, report = load_checkpoint(in_memory(state, "net.pth"), heads=6)
    assert report.flags["heads"].origin == "user"
    with torch.no_grad():
        assert_close(net(x), reference(state, x, heads=6)[0])
        assert not torch.allclose(net(x), reference(state, x)[0], atol=1e-3)
    with pytest.raises(NlvizError, match="5 cannot"):
        load_checkpoint(in_memory(state, "net.pth"), heads=5)


def test_what_does_not_fit_is_named() -> None:
    state = state_of("dinov2")
    state["blocks.1.ls1.gama"] = state.pop("blocks.1.ls1.gamma")
    report = inspect_checkpoint(in_memory(state, "net.pth"))
    assert report.unexpected == ("blocks.1.ls1.gama",)
    assert report.missing == ("blocks.1.ls1.gamma",)
    state = state_of("dino")
    state["norm_pre.weight"] = torch.ones(DIM)
    with pytest.raises(WeightsMismatch, match="as CLIP has it"):
        load_checkpoint(in_memory(state, "net.pth"))
    state = state_of("dino")
    del state["pos_embed"]
    state["rope_embed.periods"] = torch.ones(16)
    with pytest.raises(WeightsMismatch, match="no learned positions"):
        load_checkpoint(in_memory(state, "dinov3.pth"))
    state = state_of("dino")
    state["pos_embed"] = state["pos_embed"][:, :-3]
    with pytest.raises(WeightsMismatch, match="square of patches"):
        load_checkpoint(in_memory(state, "net.pth"))


def test_a_classifier_brings_labels_and_a_word_on_pixels() -> None:
    _, report = load_checkpoint(in_memory(state_of("dino", classes=1000, depth=1), "vit.pth"))
    assert (report.labels, len(report.warnings)) == ("imagenet", 1)
    assert "centred=true" in report.warnings[0]
    state = state_of("dino", classes=1000, depth=1)
    _, report = load_checkpoint(in_memory(state, "vit.pth"), centred=True)
    assert report.input_spec is not None
    assert (report.input_spec.mean, report.warnings) == ((127.5,) * 3, ())


def test_pictures_of_another_size_keep_their_aspect() -> None:
    net, _ = load_checkpoint(in_memory(state_of("dino"), "net.pth"))
    assert net(torch.zeros(1, 3, 48, 72)).shape == (1, DIM)
