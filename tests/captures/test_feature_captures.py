"""Captures whose affinities are the similarity of features: saved, read, drawn as any other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import nlviz
from nlviz.analysis.controls import controls, variants
from nlviz.captures.feature_captures import feature_capture
from nlviz.captures.layer_features import features
from nlviz.captures.model import Model
from nlviz.families import adapter_of_any
from nlviz.families.reading.adapter import InputSpec
from nlviz.render.save import overlay_of
from nlviz.words.rows import row_sentence
from tests.nets import noise_clip

SPEC = InputSpec(sides=(20, 28), layout="frames")


@pytest.fixture(scope="module")
def model() -> Model:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 9, 4, 4), nn.ReLU(), nn.Conv2d(9, 5, 3, padding=1)).eval()
    return Model(net, adapter=adapter_of_any(net), input_spec=SPEC)


def test_each_layer_is_a_block(model: Model) -> None:
    clip = noise_clip(3, 40, 56)
    capture = feature_capture(model, clip, ["1", "2"], minus_mean=True)
    names = ["1, features minus mean", "2, features minus mean"]
    assert list(capture.affinities) == names == list(capture.blocks)
    own = features(model, clip, "2").cosine(minus_mean=True)
    found = capture.affinities[names[1]]
    assert torch.equal(found.rows([7]), own.rows([7])) and "mean feature" in found.note
    keys = [variant.key for variant in variants(capture, names[0])]
    assert "cosine" not in keys and "features" in keys  # it is the cosine
    assert set(controls(capture, names[0])) == set(keys)


def test_it_is_saved_and_read(model: Model, tmp_path: Path) -> None:
    capture = feature_capture(model, noise_clip(3, 40, 56), ["2"])
    read = nlviz.read_capture(capture.save(tmp_path / "layer.nlviz"))
    assert read.affinities["2, features"].pairwise.name == "cosine"
    rows = [each.affinities["2, features"].rows([5]) for each in (read, capture)]
    assert torch.equal(*rows)
    header, _ = nlviz.web.unpack(nlviz.web.live_view(read, "2, features"))
    assert header["sources"][0]["label"] == "Features, cosine"


def test_its_pictures_speak_of_similarity(model: Model, tmp_path: Path) -> None:
    capture = feature_capture(model, noise_clip(3, 40, 56), ["2"])
    view = nlviz.View.of(capture, "2, features", frame=1, y=20, x=30)
    drawn = overlay_of(capture, capture.affinities["2, features"], view)
    assert drawn.look.scale.title == "Cosine similarity"
    assert drawn.about == "Cosine of the features of this layer, no softmax"
    row = features(model, capture.clip, "2").cosine().map(frame=1, y=20, x=30)
    others = np.delete(row.weights.ravel(), row.own)
    assert drawn.look.scale.most == pytest.approx(others.max())
    sentence = row_sentence(capture.clip, drawn.attention)
    assert "most alike other cell" in sentence and "%" not in sentence
    for kind in ("png", "gif", "npz"):
        assert nlviz.save_view(capture, view, tmp_path / f"a.{kind}").stat().st_size > 500
