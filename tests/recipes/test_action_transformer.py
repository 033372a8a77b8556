"""The recipe of the action transformer, its scores, and the weights that it made."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import nlviz
from nlviz.affinity.token_boxes import TokenBoxes
from nlviz.errors import NlvizError
from nlviz.files.local import digest_of
from nlviz.networks.action_transformer import Found
from nlviz.networks.lite_nl import LiteNL
from nlviz.networks.weights import read_weights
from nlviz.recipes.action_transformer import Plan, Training, loss_of, write
from nlviz.recipes.box_scores import report, scored
from nlviz.recipes.boxed_batches import Batch, draw
from nlviz.recipes.boxed_clips import BoxedClip, bank, boxes_of
from nlviz.recipes.composed import ComposedClip
from nlviz.resources import asset

PLAN = Plan(steps=4, clips=3, held_out=2, batch=2, boxes=3)
WEIGHTS = "weights/action-transformer.safetensors"


@pytest.fixture(scope="module")
def net() -> LiteNL:
    torch.manual_seed(1)
    return LiteNL().eval().requires_grad_(False)


@pytest.fixture(scope="module")
def clips(net: LiteNL, tmp_path_factory: pytest.TempPathFactory) -> list[BoxedClip]:
    rng = np.random.default_rng(0)
    photos = [rng.integers(0, 255, (120, 160, 3), np.uint8) for _ in range(4)]
    folder = tmp_path_factory.mktemp("bank")
    found = bank(net, folder, photos, 3, seed=2)
    again = bank(net, folder, [], 3, seed=2)  # from the files
    assert all(torch.equal(a.features, b.features) for a, b in zip(found, again, strict=True))
    return found


def test_boxes_are_those_of_what_shows(clips: list[BoxedClip]) -> None:
    labels = np.zeros((2, 9, 12), np.uint8)
    labels[0, 2:5, 3:9] = 1
    labels[0, 4, 4:6] = 2  # hides a part of it
    clip = ComposedClip(
        np.zeros((2, 9, 12, 3), np.uint8), labels, np.zeros((3, 2, 2, 3)), (0, 1, 1)
    )
    boxes, area = boxes_of(clip)
    assert boxes[0, 0].tolist() == [2, 3, 5, 9] and area[:, 0].tolist() == [16, 2]
    assert np.isnan(boxes[:, 1]).all() and area[:, 1].tolist() == [0, 0]
    assert clips[0].features.shape == (8, 112, 14, 19)
    assert any(c.twin_of(0) is not None for c in clips) and clips[1].twin_of(99) is None


def test_what_is_drawn_is_mirrored_and_turned_with_its_features(clips: list[BoxedClip]) -> None:
    seen = set()
    for seed in range(24):
        rng = np.random.default_rng(seed)
        batch = draw([clips[0]], rng, boxes=5, frames=6)
        frames = batch.picked[0].tolist()
        seen.add(frames == sorted(frames))
        plain = clips[0].features[batch.picked[0]].float().transpose(0, 1)
        mirrored = not torch.equal(batch.features[0], plain)
        assert torch.equal(batch.features[0], plain.flip(-1) if mirrored else plain)
        for n in range(5):
            t = int(batch.boxes[0, n, 0])
            top, left, bottom, right = clips[0].boxes[batch.things[0, n], frames[t]] / 16
            if mirrored:
                left, right = 19 - right, 19 - left
            wanted = torch.stack([top, left, bottom, right])
            assert torch.allclose(batch.boxes[0, n, 1:], wanted)
            assert torch.allclose(batch.truth[0, n, t, :2], (wanted[:2] + wanted[2:]) / 2)
            assert bool(batch.own[0, n, t]) and int(batch.own[0, n].sum()) == 1
    assert seen == {True, False}


def _batch() -> Batch:
    """One clip of 2 frames of 3 x 4 cells; the object's middle is at cell (1, 2) of frame 1."""
    truth = torch.zeros(1, 1, 2, 4)
    truth[0, 0, 1] = torch.tensor([1.5, 2.5, 0.4, 0.3])
    return Batch(
        torch.zeros(1, 5, 2, 3, 4),
        torch.tensor([[[0, 0, 0, 1, 1.0]]]),
        truth,
        torch.tensor([[[True, True]]]),
        torch.tensor([[[True, False]]]),
        torch.tensor([[0]]),
        torch.tensor([[0, 1]]),
    )


def test_the_loss_is_least_at_the_truth() -> None:
    batch = _batch()
    size, seen = torch.tensor([[[[0.0, 0.0], [0.4, 0.3]]]]), torch.full((1, 1, 2), 9.0)

    def at(y: int, x: int) -> float:
        places = torch.zeros(1, 1, 2, 3, 4)
        places[0, 0, 1, y, x] = 5
        places[0, 0, 0, 0, 0] = 5  # the query's own frame, right each time
        return float(loss_of(Found(places, size, seen), batch))

    losses = {(y, x): at(y, x) for y in range(3) for x in range(4)}
    assert min(losses, key=lambda c: losses[c]) == (1, 2)
    assert losses[1, 2] < losses[1, 3] < losses[0, 0]


def test_scores_count_other_frames_alone() -> None:
    rows = torch.tensor([[9.0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, *[0.0] * 12]])
    rows[0, 12], rows[0, 13] = 3, 1
    thing, twin = torch.zeros(1, 24, dtype=torch.bool), torch.zeros(1, 24, dtype=torch.bool)
    thing[0, [0, 12]] = True
    twin[0, 13] = True
    found = scored(rows, _batch(), thing, twin)
    assert float(found["mass on the object"]) == 0.75 and float(found["mass on the twin"]) == 0.25
    assert float(found["top 1 on the object"]) == 1
    assert float(found["top 20 on the object"]) == pytest.approx(1 / 20)


def test_interrupted_and_resumed_is_the_same(clips: list[BoxedClip], tmp_path: Path) -> None:
    whole = Training(PLAN, clips, tmp_path / "none")
    (tmp_path / "none").mkdir()
    whole.run()
    work = tmp_path / "work"
    work.mkdir()
    for stop in (1, 3, None):
        torch.manual_seed(99)
        resumed = Training(PLAN, clips, work)
        resumed.run(until=stop)
    for (name, value), other in zip(
        whole.head.state_dict().items(), resumed.head.state_dict().values(), strict=True
    ):
        assert torch.equal(value, other), name
    with pytest.raises(NlvizError, match="another plan"):
        Training(Plan(steps=5), clips, work)
    write(whole.head, tmp_path / "head.safetensors", PLAN)
    model = nlviz.load_model(tmp_path / "head.safetensors")
    assert model.blocks == ("layer0", "layer1", "layer2")
    told = report(whole.head, whole.start, [*clips * 7])
    assert told["clips"] == 1 and "raw features" in told["links into other frames"]["all"]


def test_the_card_is_of_this_file() -> None:
    card = json.loads(asset(WEIGHTS).with_suffix(".json").read_text("utf-8"))
    assert card["sha256"] == digest_of(asset(WEIGHTS))
    assert {"saw", "licence", "command", "objective", "what it did not learn"} <= card.keys()
    assert asset(WEIGHTS).stat().st_size < 1_000_000
    assert not any(name.startswith("trunk.") for name in read_weights(asset(WEIGHTS)))


def test_the_bundled_weights_find_a_cup_that_they_never_saw() -> None:
    """Of the bundled twins, cut from pictures that training never saw; a chance hit is 1 in 20."""
    film = nlviz.read_clip(asset("clips/composed-twins.mp4"))
    truth = ComposedClip.load(asset("clips/composed-twins.npz"), film.frames)
    clip = nlviz.read_clip(asset("clips/composed-twins.mp4"), frames=8)
    frames = np.linspace(0, 95, 8).round().astype(int)
    boxes, _ = boxes_of(truth)
    model = nlviz.load_model("action-transformer.composed")
    capture = model.capture(clip, boxes=[(0, *boxes[0, 0])])
    affinity = capture.affinities["layer0"]
    assert isinstance(affinity.queries, TokenBoxes)
    row = affinity.map(box=0)
    t, y, x = (np.broadcast_to(c, row.weights.shape) for c in row.keys.centres())
    labels = truth.labels[frames][t.astype(int), y.round().astype(int), x.round().astype(int)]
    other = t > 0
    total = row.weights[other].sum()
    on_cups = row.weights[other & ((labels == 1) | (labels == 2))].sum() / total
    assert on_cups > 0.6
    chance = float(((labels == 1) | (labels == 2))[other].mean())
    assert chance < 0.15


def test_the_guide_has_the_figures_of_the_card() -> None:
    guide = Path(__file__).parents[2].joinpath("docs", "guides", "boxes.md").read_text("utf-8")
    validation = json.loads(asset(WEIGHTS).with_suffix(".json").read_text("utf-8"))["validation"]
    links = validation["links into other frames"]
    for name, key in (
        ("learned, mean of all", "all layers"),
        ("box-pooled raw features", "raw features"),
        ("position only", "position only"),
    ):
        of_all, twins = links["all"][key], links["with a twin"][key]
        measures = [of_all[f"{m} on the object"] for m in ("top 1", "top 20", "mass")]
        measures += [twins["mass on the object"], twins["mass on the twin"]]
        assert f"| {name} | {' | '.join(f'{m:.3f}' for m in measures)} |" in guide
    assert f"{validation['answers']['nearer the twin']:.0%} of the answers" in guide
