"""The bundled weights against their card, and against raw features on clips nobody trained on."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from nlviz.files.local import digest_of
from nlviz.networks.lite_nl import LiteNL
from nlviz.networks.weights import load_into, read_weights
from nlviz.recipes import matching
from nlviz.recipes.composed import ComposedClip, Picture, compose
from nlviz.recipes.feature_bank import Sample, normalised, true_places
from nlviz.recipes.footage import degrade
from nlviz.resources import asset

WEIGHTS = "weights/lite-nl.safetensors"


@pytest.fixture(scope="module")
def net() -> LiteNL:
    net = LiteNL().eval().requires_grad_(False)
    load_into(net, read_weights(asset(WEIGHTS)), source=WEIGHTS)
    return net


def test_the_card_is_of_this_file() -> None:
    card = json.loads(asset(WEIGHTS).with_suffix(".json").read_text("utf-8"))
    assert card["sha256"] == digest_of(asset(WEIGHTS))
    assert {"saw", "licence", "command", "seed", "steps", "objective", "limits"} <= card.keys()


def test_every_bundled_file_is_listed_with_its_digest() -> None:
    readme = asset("README.md").read_text("utf-8")
    folder = asset("README.md").parent
    paths = sorted(p for p in folder.rglob("*") if p.is_file() and p.name != "README.md")
    for path in paths:
        name = path.relative_to(folder).as_posix()
        if name.startswith("lessons/") and name.count("/") == 2:  # made anew by a test, each
            assert f"| `{name.rpartition('/')[0]}/*` |" in readme, name
            continue
        assert f"| `{name}` |" in readme, name
        assert digest_of(path) in readme, name


@pytest.mark.slow
def test_learned_links_beat_raw_features_under_noise(net: LiteNL) -> None:
    photos = [_read(asset(f"photos/{n}.jpg")) for n in ("cat", "coffee", "rocket", "astronaut")]
    clips = [compose(photos, seed=seed, frames=3, size=(224, 304)) for seed in range(4)]
    bare = LiteNL().eval().requires_grad_(False)
    bare.backbone.load_state_dict(net.backbone.state_dict())
    rng = np.random.default_rng(0)
    noisy = [degrade(clip.frames, rng, sigma=50) for clip in clips]
    raw, own = (
        [_sample(n, clip, seen) for clip, seen in zip(clips, noisy, strict=True)]
        for n in (bare, net)
    )
    figures = {
        condition: (
            matching.measure(matching.learned(net.stage4), own, degraded=degraded),
            matching.measure(matching.cosine, raw, degraded=degraded),
        )
        for condition, degraded in (("clean", False), ("noisy", True))
    }
    learned, cosine = figures["noisy"]
    assert learned["top1"] > cosine["top1"] + 0.02
    learned, cosine = figures["clean"]
    assert learned["top1"] > cosine["top1"] - 0.02
    assert learned["top1"] > 0.7


def _sample(net: LiteNL, clip: ComposedClip, seen: Picture) -> Sample:
    """Features that enter stage4, with the truth."""
    inputs = []
    for frames in (clip.frames, seen):
        entering = net.block_inputs(normalised(frames).transpose(0, 1)[None])
        inputs.append(entering["stage4"][0].transpose(0, 1))
    truth, labels = true_places(clip, 16)
    return Sample(inputs[0], inputs[1], torch.from_numpy(truth), torch.from_numpy(labels))


def _read(path: Path) -> Picture:
    read = cv2.imread(str(path))
    assert read is not None
    return np.ascontiguousarray(read[..., ::-1]).astype(np.uint8)
