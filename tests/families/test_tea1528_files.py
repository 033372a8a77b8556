"""tea1528's network for small pictures against the same computed from its file's own names."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from nlviz.zoo.checkpoints import inspect_checkpoint, load_checkpoint
from tests.families.references import Block, assert_close, attended, noise, normalised
from tests.families.torch_names import NORM, State, doubled, in_memory
from tests.families.writers.tea1528 import MODES, PLAIN, state_of


def block_of(state: State, p: str, mode: str, *, scale: bool) -> Block:
    def pair(key: str) -> tuple[Tensor, Tensor] | None:
        weight = state.get(f"{p}.{key}.weight")
        return None if weight is None else (weight, state[f"{p}.{key}.bias"])

    g, out = pair("g"), pair("W_z.0") or pair("W_z")
    assert g is not None
    assert out is not None
    after = tuple(state[f"{p}.W_z.1.{e}"] for e in NORM) if f"{p}.W_z.1.bias" in state else None
    return Block(
        pair("theta"),
        pair("phi"),
        g,
        out,
        norm=after,  # type: ignore[arg-type]
        mode=mode,
        scale=scale,
        pool=None,
        w_f=state.get(f"{p}.W_f.0.weight"),
        w_f_bias=state.get(f"{p}.W_f.0.bias"),
    )


def reference(
    state: State, mode: str, x: Tensor, *, at: int = PLAIN - 1, scale: bool = False
) -> tuple[Tensor, Tensor]:
    """Return logits and the block's rows."""
    rows = torch.zeros(0)

    def norm(y: Tensor, prefix: str) -> Tensor:
        return normalised(y, *(state[f"{prefix}.{e}"] for e in NORM))

    x = norm(F.conv2d(x, state["conv1.weight"], padding=1), "bn1").relu()
    for stage in (1, 2, 3):
        for i in range(PLAIN + (stage == 2)):
            p = f"layer{stage}.{i}"
            if stage == 2 and i == at:
                block = block_of(state, p, mode, scale=scale)
                x = block(x)
                rows = torch.cat(block.rows)
                continue
            step = 2 if stage > 1 and i == 0 else 1
            y = norm(F.conv2d(x, state[f"{p}.conv1.weight"], stride=step, padding=1), f"{p}.bn1")
            y = norm(F.conv2d(y.relu(), state[f"{p}.conv2.weight"], padding=1), f"{p}.bn2")
            if step == 2:
                empty = torch.zeros_like(x[:, : x.shape[1] // 2, ::2, ::2])
                x = torch.cat((empty, x[:, :, ::2, ::2], empty), 1)
            x = (x + y).relu()
    return x.mean((2, 3)) @ state["linear.weight"].T + state["linear.bias"], rows


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("norm", [True, False])
def test_a_t7_file_of_each_mode(tmp_path: Path, mode: str, norm: bool) -> None:
    state = state_of(mode, norm=norm)
    path = tmp_path / "ckpt.t7"
    saved = {f"module.{k}": v for k, v in state.items()}
    torch.save({"net": saved, "acc": 93.5, "epoch": 180}, path)
    flags = {"pairwise": mode} if mode == "dot_product" else {}
    net, report = load_checkpoint(path, **flags)
    assert report.complete
    assert report.family == "tea1528"
    assert report.architecture == "ResNet-20 for small pictures with 1 non-local block"
    assert report.flags["pairwise"].value == mode
    x = noise(2, 3, 20, 28).double()
    logits, rows = attended(net.double(), x)
    expected, rows_expected = reference(doubled(state), mode, x)
    assert_close(logits, expected)
    assert_close(next(iter(rows.values())), rows_expected)


def test_scaled_logits_and_a_moved_block_are_other_networks() -> None:
    state = state_of("embedded_gaussian")
    x = noise(2, 3, 20, 28).double()
    net, _ = load_checkpoint(in_memory(state, "ckpt.t7", "net"), scale=True)
    expected, _ = reference(doubled(state), "embedded_gaussian", x)
    scaled, _ = reference(doubled(state), "embedded_gaussian", x, scale=True)
    logits, _ = attended(net.double(), x)
    assert_close(logits, scaled)
    assert not torch.allclose(logits, expected, atol=1e-4)
    swap = {f"layer2.{PLAIN - 1}.": f"layer2.{PLAIN}.", f"layer2.{PLAIN}.": f"layer2.{PLAIN - 1}."}
    moved = {}
    for key, value in state.items():
        old = next((o for o in swap if key.startswith(o)), "")
        moved[key.replace(old, swap[old]) if old else key] = value
    net, report = load_checkpoint(in_memory(moved, "ckpt.t7", "net"))
    assert report.blocks[0].name == f"layer2.{PLAIN}"
    logits, _ = attended(net.double(), x)
    assert not torch.allclose(logits, expected, atol=1e-4)
    assert_close(logits, reference(doubled(moved), "embedded_gaussian", x, at=PLAIN)[0])


def test_a_renamed_key_is_named() -> None:
    state = state_of("concatenation")
    state["layer2.2.W_f.1.bias"] = state.pop("layer2.2.W_f.0.bias")
    report = inspect_checkpoint(in_memory(state, "ckpt.t7", "net"))
    assert report.unexpected == ("layer2.2.W_f.1.bias",)
    assert not report.complete
