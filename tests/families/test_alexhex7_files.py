"""The classifier of digits against the same computed from its file's own names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

import nlviz
from nlviz.zoo.checkpoints import inspect_checkpoint, load_checkpoint
from tests.families.references import Block, assert_close, attended, noise, normalised
from tests.families.torch_names import NORM, State, doubled, in_memory
from tests.families.writers.alexhex7 import MODES, digits


def block_of(state: State, i: int, mode: str, **changed: Any) -> Block:
    def pair(*keys: str) -> tuple[Tensor, Tensor] | None:
        for key in keys:
            if f"nl_{i}.{key}.weight" in state:
                return state[f"nl_{i}.{key}.weight"], state[f"nl_{i}.{key}.bias"]
        return None

    pooled = f"nl_{i}.g.0.weight" in state
    after = tuple(state[f"nl_{i}.W.1.{e}"] for e in NORM) if f"nl_{i}.W.1.weight" in state else None
    options = {
        "mode": mode,
        "scale": False,
        "pool": (2, 2) if pooled else None,
        "pool_first": False,
        "w_f": state.get(f"nl_{i}.concat_project.0.weight"),
        **changed,
    }
    g, out = pair("g.0", "g"), pair("W.0", "W")
    assert g is not None
    assert out is not None
    return Block(pair("theta"), pair("phi.0", "phi"), g, out, norm=after, **options)  # type: ignore[arg-type]


def reference(state: State, mode: str, x: Tensor, **changed: Any) -> tuple[Tensor, list[Tensor]]:
    """Return logits and the rows of both blocks."""
    rows = []
    for i in (1, 2, 3):
        x = F.conv2d(x, state[f"conv_{i}.0.weight"], state[f"conv_{i}.0.bias"], padding=1)
        x = F.max_pool2d(normalised(x, *(state[f"conv_{i}.1.{e}"] for e in NORM)).relu(), 2)
        if i < 3:
            block = block_of(state, i, mode, **changed)
            x = block(x)
            rows.append(torch.cat(block.rows))
    h = (x.flatten(1) @ state["fc.0.weight"].T + state["fc.0.bias"]).relu()
    return h @ state["fc.3.weight"].T + state["fc.3.bias"], rows


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("pooled", "norm"), [(True, True), (False, True), (True, False)])
def test_a_file_of_each_mode(tmp_path: Path, mode: str, pooled: bool, norm: bool) -> None:
    state = digits(mode, pooled=pooled, norm=norm)
    path = tmp_path / "net.pth"
    torch.save({f"module.{k}": v for k, v in state.items()}, path)
    flags = {"pairwise": "dot_product"} if mode == "dot_product" else {}
    net, report = load_checkpoint(path, **flags)
    assert report.complete
    assert report.family == "alexhex7"
    assert report.flags["pairwise"].value == mode
    told = {"gaussian": "key", "concatenation": "key", "dot_product": "user"}
    assert report.flags["pairwise"].origin == told.get(mode, "preset")
    assert report.flags["key_pool"].value == (2 if pooled else 1)
    x = noise(3, 1, 28, 28).double()
    logits, rows = attended(net.double(), x)
    expected, rows_expected = reference(doubled(state), mode, x)
    assert_close(logits, expected)
    for found, wanted in zip(rows.values(), rows_expected, strict=True):
        assert_close(found, wanted)
    if pooled and mode != "gaussian":
        other, _ = reference(doubled(state), mode, x, pool_first=True)
        assert not torch.allclose(logits, other, atol=1e-4)


def test_ambiguous_modes_are_told() -> None:
    report = inspect_checkpoint(in_memory(digits("embedded_gaussian"), "net.pth", ""))
    assert any("the same for embedded_gaussian and dot_product" in w for w in report.warnings)


def test_a_renamed_key_is_named() -> None:
    state = digits("embedded_gaussian")
    state["nl_2.key.0.weight"] = state.pop("nl_2.phi.0.weight")
    report = inspect_checkpoint(in_memory(state, "net.pth", ""))
    assert report.unexpected == ("nl_2.key.0.weight",)
    assert report.missing == ("nl2.phi.weight",)


def test_a_picture_goes_in_as_luminance(tmp_path: Path) -> None:
    path = tmp_path / "digits.pth"
    torch.save(digits("embedded_gaussian"), path)
    model = nlviz.load_model(path)
    frames = np.random.default_rng(0).integers(0, 256, (2, 56, 84, 3)).astype(np.uint8)
    affinity = model.capture(nlviz.Clip.from_frames(frames)).affinities["nl2"]
    assert affinity.queries.shape == (2, 7, 7)
    assert affinity.keys.shape == (2, 3, 3)
    assert affinity.queries.stride[1:] == (8.0, 12.0)
    other_frame = affinity.map(frame=0, y=20, x=50).per_frame()[1]
    assert other_frame == 0


def test_a_bare_block_is_found_and_its_use_told(tmp_path: Path) -> None:
    state = {k.removeprefix("nl_2."): v for k, v in digits("gaussian").items() if "nl_2." in k}
    path = tmp_path / "block.pth"
    torch.save(state, path)
    report = inspect_checkpoint(path)
    assert [(b.channels, b.inner, b.pairwise) for b in report.blocks] == [(64, 32, "gaussian")]
    assert any("nlviz.capture(net, clip)" in w for w in report.warnings)
    with pytest.raises(nlviz.NlvizError, match="named as in AlexHex7"):
        load_checkpoint(path)
