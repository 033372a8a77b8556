"""Captures as files: what is read is what was saved, and broken files are told in a sentence."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
import timm
import torch

import nlviz
from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.affinity.grid import TokenGrid
from nlviz.affinity.pairwise import Pairwise
from nlviz.affinity.patches import patch_affinity
from nlviz.affinity.support import Support, Window
from nlviz.analysis.controls import controls
from nlviz.analysis.health import block_health
from nlviz.captures.capture import About, Affinities, Capture, read_capture
from nlviz.captures.file_format import is_capture
from nlviz.captures.model import Model
from nlviz.clips.clip import Clip
from nlviz.clips.detections import Detection
from nlviz.errors import NlvizError, UnreadableCheckpoint
from nlviz.render.save import render_bytes
from nlviz.views.view import View
from nlviz.web.payloads.container import unpack
from nlviz.web.payloads.live_view import live_view
from tests.cli.test_cli import run

T, H, W = 4, 40, 56


def clip_of(frames: int = T) -> Clip:
    seed = np.random.default_rng(3)
    return Clip.from_frames(seed.integers(0, 256, (frames, H, W, 3), np.uint8), name="noise")


def made(**changes: Any) -> Capture:
    """Return a capture of one block with pooled keys, and with changes of its affinity."""
    torch.manual_seed(5)
    grid = TokenGrid((T, 5, 7), (1, 8, 8), (0, 3.5, 3.5))
    keys = grid.pooled((1, 2, 2))
    values = {
        "name": "nl",
        "pairwise": Pairwise("embedded_gaussian", 0.3),
        "theta": torch.randn(1, grid.size, 6),
        "phi": torch.randn(1, keys.size, 6),
        "queries": grid,
        "keys": keys,
        "clip_shape": (T, H, W),
        "note": "A note.",
    }
    affinity = EmbeddedAffinity(**{**values, **changes})
    shape = affinity.queries.shape
    return Capture(
        clip=clip_of(),
        logits=torch.randn(3),
        affinities=Affinities({"a.nl": affinity}),
        features=MappingProxyType({"a.nl": torch.randn(9, *shape)}),
        blocks=MappingProxyType({"a.nl": torch.nn.Identity()}),
        about=About("net", "nothing", "ab12", "cuda:0"),
        labels=("cat", "dog", "bird"),
    )


def grouped() -> Capture:
    return made(support=Support(2), bias=torch.randn(1, 1, T * 2 * 3))


def windowed() -> Capture:
    same = TokenGrid((T, 5, 7), (1, 8, 8), (0, 3.5, 3.5))
    x = torch.randn(1, T * 35, 6)
    near = Support(window=Window(rows=1, columns=2, frames=1, block=3))
    return made(theta=x, phi=x, keys=same, support=near)


def dot_product() -> Capture:
    pooled = T * 2 * 3
    return made(
        pairwise=Pairwise("dot_product"),
        values=torch.randn(1, pooled, 8),
        output=torch.randn(1, T * 35, 8),
    )


def concatenation() -> Capture:
    theta, phi = torch.randn(1, T * 35, 1), torch.randn(1, T * 6, 1)
    return made(pairwise=Pairwise("concatenation"), theta=theta.double(), phi=phi.double())


def same_tensor() -> Capture:
    x = torch.randn(1, T * 35, 6)
    return made(theta=x, phi=x, keys=TokenGrid((T, 5, 7), (1, 8, 8), (0, 3.5, 3.5)))


def detected() -> Capture:
    mask = np.zeros((H, W), bool)
    mask[3:20, 5:30] = True
    places = np.array([[4, 5, 0.5], [7, 8, 1.5]], np.float32)
    box = (3.0, 5.0, 20.0, 30.0)
    found = (
        Detection(1, "dog", 1, 0.75, box, mask, places),
        Detection(2, "cat", 1, 0.25, box),
    )
    return replace(made(), detections=found)


def vit() -> Capture:
    torch.manual_seed(1)
    net = timm.create_model(
        "vit_tiny_patch16_224", img_size=64, dynamic_img_size=True, depth=2, num_classes=4
    )
    spec = nlviz.InputSpec(size=64, layout="frames")
    return Model(net, input_spec=spec).capture(clip_of(2))


KINDS: tuple[Callable[[], Capture], ...] = (
    made,
    grouped,
    windowed,
    dot_product,
    concatenation,
    same_tensor,
    detected,
    vit,
)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_read_is_what_was_saved(kind: Callable[[], Capture], tmp_path: Path) -> None:
    before = kind()
    path = before.save(tmp_path / "c.nlviz")
    assert is_capture(path)
    after = read_capture(path)
    assert np.array_equal(after.clip.frames, before.clip.frames)
    assert np.array_equal(after.clip.times, before.clip.times)
    for name in ("name", "digest", "sampling", "notes", "reader"):
        assert getattr(after.clip, name) == getattr(before.clip, name)
    assert after.about == before.about
    assert after.labels == before.labels
    assert after.prediction() == before.prediction()
    assert list(after.affinities) == list(before.affinities)
    assert not after.blocks
    assert [d.to_dict() for d in after.detections] == [d.to_dict() for d in before.detections]
    for name, mine in before.affinities.items():
        theirs = after.affinities[name]
        assert isinstance(mine, EmbeddedAffinity)
        assert isinstance(theirs, EmbeddedAffinity)
        for field in ("queries", "keys", "support", "pairwise", "note", "prefix_name", "name"):
            assert getattr(theirs, field) == getattr(mine, field)
        index = range(0, mine.queries.size, 3)
        assert theirs.theta.dtype == mine.theta.dtype
        assert torch.equal(theirs.rows(index), mine.rows(index))
        assert torch.equal(after.features[name], before.features[name])
        assert theirs.parity_error() == mine.parity_error()


@pytest.mark.slow
@pytest.mark.parametrize("kind", [made, vit])
def test_a_saved_capture_is_looked_at_without_its_network(
    kind: Callable[[], Capture], tmp_path: Path
) -> None:
    capture = read_capture(kind().save(tmp_path / "c.nlviz"))
    block = list(capture.affinities)[-1]
    found = controls(capture, block)
    assert "untrained" not in found
    assert {"learned", "features", "position", "nl_means"} <= set(found)
    health = block_health(None, capture, block)
    assert health.size is None
    assert health.gamma is None
    view = View.of(capture, block, frame=1, y=20, x=30)
    header, _ = unpack(live_view(capture, block, served=True))
    assert [s["key"] for s in header["sources"]] == list(found)
    for file in ("png", "npz", "html", "json"):
        assert render_bytes(file, capture, capture.affinities[block], view)


def test_a_capture_of_the_bundled_network_has_no_untrained_block(tmp_path: Path) -> None:
    model = nlviz.load_model("lite-nl", device="cpu")
    whole = model.capture(clip_of(2))
    capture = nlviz.read_capture(whole.save(tmp_path / "c.nlviz").read_bytes())
    assert "untrained" in controls(whole, "stage4")
    assert "untrained" not in controls(capture, "stage4")
    health = block_health(model, capture, "stage4")
    assert health.effect is not None
    assert health.effect == block_health(model, whole, "stage4").effect


def test_what_has_no_embeddings_is_not_saved(tmp_path: Path) -> None:
    clip = clip_of(1)
    patches = patch_affinity(clip.frames, clip_shape=clip.shape, h=1.0, patch=7, step=4)
    capture = replace(made(), affinities=Affinities({"a.nl": patches}))
    with pytest.raises(NlvizError, match="holds embeddings"):
        capture.save(tmp_path / "c.nlviz")
    with pytest.raises(NlvizError, match="cannot be written"):
        made().save(tmp_path / "none" / "c.nlviz")
    assert not list(tmp_path.iterdir())


def changed(content: bytes, change: Callable[[dict[str, Any], dict[str, Any]], None]) -> bytes:
    """Return a file whose metadata were edited; its tensors stay where they are."""
    size = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8 : 8 + size])
    told = json.loads(header["__metadata__"]["capture"])
    change(header, told)
    header["__metadata__"]["capture"] = json.dumps(told)
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + content[8 + size :]


def block(key: str, *path: str | int, value: object) -> Callable[..., None]:
    def change(header: dict[str, Any], told: dict[str, Any]) -> None:
        at: Any = told["blocks"][0]
        names = [key, *path]
        for name in names[:-1]:
            at = at[name]
        at[names[-1]] = value

    return change


def meta(key: str, value: str) -> Callable[..., None]:
    return lambda header, told: header["__metadata__"].update({key: value})


EDITS: dict[str, tuple[Callable[..., None], str]] = {
    "another format": (meta("format", "pt"), "format must be nlviz.capture"),
    "a newer version": (meta("version", "2"), "a newer nlviz may read it"),
    "no blocks": (lambda h, t: t.update(blocks=[]), "blocks must be a list that is not empty"),
    "blocks that are none": (
        lambda h, t: t.update(blocks=[7]),
        r"blocks\[0\] must be an object, got 7",
    ),
    "two of a name": (lambda h, t: t["blocks"].append(t["blocks"][0]), "two blocks"),
    "one block too many": (
        lambda h, t: t["blocks"].append({**t["blocks"][0], "name": "b"}),
        "1.theta is missing",
    ),
    "a part missing": (lambda h, t: t.pop("about"), "header's about is missing"),
    "another grid": (block("queries", "shape", value=[4, 5, 8]), "0.theta must be any x 160"),
    "a huge grid": (block("keys", "shape", value=[4, 5, 10**30]), "whole number"),
    "a flat grid": (block("keys", "shape", value=[4, 5]), r"keys\.shape must be a list of 3"),
    "a negative grid": (block("keys", "shape", value=[4, -2, -3]), "whole number from 1"),
    "a grid of NaN": (block("keys", "origin", value=[0, float("nan"), 0]), "finite"),
    "a stride of 0": (block("queries", "stride", value=[1, 0, 8]), "above 0"),
    "a large prefix": (block("queries", "prefix", value=10**6), "0.theta must be"),
    "a text for a prefix": (block("queries", "prefix", value="2"), "whole number from 0"),
    "an unknown f": (block("pairwise", "name", value="sine"), "pairwise.name must be gaussian"),
    "an infinite scale": (block("pairwise", "scale", value=float("inf")), "finite"),
    "groups of no frames": (
        block("support", value={"kind": "frame_groups", "frames_per_group": 0}),
        "from 1",
    ),
    "another clip": (block("clip_shape", value=[9, 9, 9]), "the clip is"),
    "a tensor kept that is not": (block("tensors", value=["values"]), "0.values is missing"),
    "a tensor nobody knows": (block("tensors", value=["__class__"]), "a block keeps"),
    "labels that are none": (lambda h, t: t.update(labels=[1]), r"labels\[0\] must be a text"),
    "a number for the network's name": (
        lambda h, t: t["about"].update(name=7),
        "name must be a text",
    ),
    "true for a number": (block("queries", "prefix", value=True), "prefix must be a whole number"),
    "a grid nested deeply": (block("queries", value=[[[[7]]]]), "queries must be an object"),
    "a sampling of more": (lambda h, t: t["clip"]["sampling"].update(x=1), "has no field 'x'"),
}


@pytest.mark.parametrize("edit", EDITS)
def test_edited_files_are_told_in_a_sentence(edit: str, tmp_path: Path) -> None:
    change, told = EDITS[edit]
    content = made().save(tmp_path / "c.nlviz").read_bytes()
    with pytest.raises(UnreadableCheckpoint, match=told) as error:
        read_capture(changed(content, change), name="c.nlviz")
    assert str(error.value).startswith("c.nlviz ")


def test_broken_files_are_told_in_a_sentence(tmp_path: Path) -> None:
    content = made().save(tmp_path / "c.nlviz").read_bytes()
    size = struct.unpack("<Q", content[:8])[0]
    broken = [b"", b"\0" * 40, b"<html>Sign in</html>", b"\xff" * 7 + b"\x7f{" + content[9:]]
    broken += [content[:n] for n in (7, 12, 8 + size // 2, 8 + size, len(content) - 1)]
    broken += [content[:8] + b"{" * size + content[8 + size :]]
    for part in broken:
        with pytest.raises(UnreadableCheckpoint, match="save the capture again"):
            read_capture(part)
    with pytest.raises(UnreadableCheckpoint, match="No such file"):
        read_capture(tmp_path / "none.nlviz")


@pytest.mark.parametrize(
    "mask",
    [
        {"shape": [H, W], "runs": [0, 10**12]},
        {"shape": [10**6, 10**6], "runs": [0, 10**12]},
        {"shape": [H, W], "runs": [-5, H * W + 5]},
    ],
)
def test_masks_that_claim_more_than_the_clip(
    mask: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    capture = detected()
    hostile = {**capture.detections[0].to_dict(), "mask": mask}
    monkeypatch.setattr(Detection, "to_dict", lambda self: hostile)
    path = capture.save(tmp_path / "c.nlviz")
    with pytest.raises(UnreadableCheckpoint, match="mask"):
        read_capture(path)


def test_attend_draws_a_saved_capture(tmp_path: Path) -> None:
    path = made().save(tmp_path / "c.nlviz")
    out = tmp_path / "look.npz"
    result = run("attend", path, "--query", "1,20,30", "-o", out)
    assert result.exit_code == 0, result.output
    rows = np.load(out)["rows"]
    mine = made().affinities["a.nl"].map(frame=1, y=20, x=30).weights
    assert np.array_equal(rows[0], mine)
    result = run("attend", path, "--source", "untrained", "-o", out)
    assert result.exit_code == 1
