"""Scenes of tiles, their truth, and what the bundled network learned of them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import nlviz
from nlviz.files.local import digest_of
from nlviz.networks.tile_relations import HEADS, TileRelations
from nlviz.networks.weights import load_into, read_weights
from nlviz.recipes.object_relation import NAME, PAGE, Plan, drawn, main, measure, scene, train
from nlviz.resources import asset

WEIGHTS = f"weights/{NAME}.safetensors"


def test_partners_are_of_one_colour_and_of_one_stack_and_never_the_same() -> None:
    for seed in range(30):
        found = scene(np.random.default_rng(seed))
        n = len(found.boxes)
        own = np.arange(n)
        alike, stacked = found.partners.T
        assert (found.partners[alike, 0] == own).all()
        assert (found.partners[stacked, 1] == own).all()
        assert (alike != stacked).all()
        assert (alike != own).all()
        near = np.abs(found.colours.astype(int)[:, None] - found.colours[None]).sum(-1)
        np.fill_diagonal(near, 999)
        assert (near.argmin(1) == alike).all()
        assert (found.boxes[:, 1] == found.boxes[stacked, 1]).all()
        assert (found.boxes >= 0).all()
        assert (found.boxes[:, 2:] <= PAGE).all()


def test_the_bundled_network_does_what_its_card_says() -> None:
    card = json.loads(asset(WEIGHTS).with_suffix(".json").read_text("utf-8"))
    assert card["sha256"] == digest_of(asset(WEIGHTS))
    net = TileRelations().eval()
    load_into(net, read_weights(asset(WEIGHTS)), source=NAME)
    found, told = measure(net, scenes=40, seed=7), card["validation"]
    assert found["accuracy"]["colour"] == pytest.approx(told["accuracy"]["colour"], abs=0.05)
    assert found["accuracy"]["stack"] > 0.99
    assert found["without"]["appearance"]["colour"] < 0.35
    assert found["without"]["appearance"]["stack"] > 0.95
    assert found["without"]["geometry"]["stack"] < 0.5
    by_colour = [r for r in found["relations"] if r["both"]["colour"] > 0.9]
    assert len(by_colour) == 1
    # Appearance alone cannot tell a tile from itself; a closed gate of geometry can.
    assert by_colour[0]["appearance"]["itself"] > 0.3
    assert by_colour[0]["both"]["itself"] == 0
    assert max(r["geometry"]["stack"] for r in found["relations"]) > 0.95


def test_the_bundled_drawing_shows_appearance_and_geometry_apart() -> None:
    truth = scene(np.random.default_rng([0, 3]), stacks=5)
    clip = nlviz.read_clip(nlviz.bundled_inputs()["tiles.png"])
    assert np.array_equal(clip.frames[0], drawn(truth))
    capture = nlviz.load_model(NAME, device="cpu").capture(clip)
    affinity = capture.affinities["relation"]
    assert affinity.heads == HEADS
    tile_of = [affinity.queries.number((0, *box)) for box in truth.boxes.tolist()]
    for partner in (0, 1):
        right = [
            [
                [link.index for link in affinity.map(box=tile_of[i], head=head).top(1)]
                == [tile_of[truth.partners[i, partner]]]
                for i in range(len(truth.boxes))
            ]
            for head in range(HEADS)
        ]
        assert max(np.mean(right, 1)) > 0.85
    closed = affinity.map(box=tile_of[0], head=1).reachable
    assert closed is not None
    assert not closed[0, 0, tile_of[0]]
    assert "closed" in affinity.note


def test_training_is_the_same_again_and_writes_what_can_be_loaded(tmp_path: Path) -> None:
    plan = Plan(steps=5, batch=4)
    first, again = (train(plan).state_dict() for _ in range(2))
    assert all((first[key] == again[key]).all() for key in first)
    main(["--out", str(tmp_path), "--steps", "3"])
    assert nlviz.load_model(tmp_path / f"{NAME}.safetensors", device="cpu").blocks == ("relation",)
    main(["--scene", str(tmp_path / "scene.png"), "--seed", "4"])
    assert nlviz.read_clip(tmp_path / "scene.png").shape == (1, *PAGE)


def test_a_photograph_is_refused() -> None:
    cat = nlviz.read_clip(nlviz.bundled_inputs()["cat.jpg"], size=64)
    with pytest.raises(nlviz.NlvizError, match=r"the border of cat\.jpg has several"):
        nlviz.load_model(NAME, device="cpu").capture(cat)


def test_a_relation_without_an_open_gate_is_not_taken_for_shares() -> None:
    """Where all gates of one relation are closed, the mean over relations does not sum to 1."""
    capture = nlviz.load_model(NAME, device="cpu").capture(
        nlviz.Clip.from_frames(drawn(scene(np.random.default_rng(1), stacks=5)))
    )
    affinity = capture.affinities["relation"]
    sums = affinity.dense().sum(-1)
    head, box = (int(v) for v in (sums < 0.5).nonzero()[0])
    alone, mean = affinity.map(box=box, head=head), affinity.map(box=box)
    assert alone.weights.sum() == 0
    assert alone.reachable is not None
    assert not alone.reachable.any()
    assert not alone.normalised
    assert not mean.normalised
    assert affinity.map(box=box, head=1).normalised
