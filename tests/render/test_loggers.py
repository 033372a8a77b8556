"""What the guide says of TensorBoard and W&B, run against their real packages and read back."""

from __future__ import annotations

import io
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import nlviz

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "guides" / "elsewhere.md").read_text("utf-8")
AT = {"frame": 1, "y": 20.0, "x": 50.0}


def block_of(package: str) -> str:
    """Return the code of the guide that imports a package."""
    found = [code for code in re.findall(r"```py\n(.*?)```", GUIDE, re.DOTALL) if package in code]
    assert len(found) == 1, package
    return str(found[0])


@pytest.fixture
def names(capture: nlviz.Capture) -> dict[str, Any]:
    """What the code of the guide takes for granted."""
    attention = capture.affinities["1"].map(**AT)
    return {"nlviz": nlviz, "clip": capture.clip, "attention": attention, "step": 7}


def test_tensorboard_holds_the_frames_and_the_figures(
    names: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    monkeypatch.chdir(tmp_path)
    exec(block_of("SummaryWriter"), names)
    events = EventAccumulator("runs/look").Reload()
    (image,) = events.Images("look")
    assert image.step == 7
    frames = nlviz.overlay(names["clip"], names["attention"]).frames
    with Image.open(io.BytesIO(image.encoded_image_string)) as opened:
        shown = np.asarray(opened.convert("RGB"))
    # Frames side by side, to the last bit; TensorBoard leaves two pixels between them.
    wide = frames.shape[2]
    gap = (shown.shape[1] - wide * 3) // 3
    for index, frame in enumerate(frames):
        left = index * (wide + gap) + gap // 2
        part = shown[(shown.shape[0] - frame.shape[0]) // 2 :, left : left + wide]
        np.testing.assert_array_equal(part[: frame.shape[0]], frame)
    (scalar,) = events.Scalars("look/effective keys")
    assert scalar.value == pytest.approx(names["attention"].effective(), rel=1e-5)


def test_wandb_holds_the_film(
    names: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wandb = pytest.importorskip("wandb", reason="wandb is not installed")
    monkeypatch.chdir(tmp_path)
    for name, value in {"MODE": "offline", "SILENT": "true", "ERROR_REPORTING": "false"}.items():
        monkeypatch.setitem(os.environ, f"WANDB_{name}", value)
    exec(block_of("wandb"), names)
    wandb.teardown()  # its process ends, and has written all by then
    (run,) = tmp_path.glob("wandb/offline-run-*")
    (written,) = run.glob("*.wandb")
    assert b"look" in written.read_bytes()
    (film,) = run.glob("files/media/videos/look_*.mp4")
    again = nlviz.read_clip(film)
    assert len(again.frames) == 3
