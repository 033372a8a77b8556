"""The recall task, its recipe and its networks."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import nlviz
from nlviz.files.local import digest_of
from nlviz.networks.recall import COLOURS, PerPosition, RecallNL, RecallPairwise, RecallTask
from nlviz.recipes import recall
from nlviz.recipes.recall_card import BUNDLED, example, name_of
from nlviz.recipes.recall_clips import DIGIT, RecallClips, recall_clips
from nlviz.resources import asset


@pytest.fixture(scope="module")
def drawn() -> RecallClips:
    return recall_clips(60, seed=3)


def test_the_last_frame_repeats_a_digit_in_grey(drawn: RecallClips) -> None:
    n = np.arange(len(drawn.frames))
    assert (drawn.digits[:, 4] == drawn.digits[n, drawn.asked]).all()
    for clip in range(6):
        for frame in range(5):
            y, x = drawn.corners[clip, frame]
            square = drawn.frames[clip, frame, y : y + DIGIT, x : x + DIGIT].astype(float)
            tint = square.reshape(-1, 3)[square.sum(-1).ravel().argsort()[-20:]].mean(0)
            assert (np.ptp(tint) < 20) == (frame == 4)


def test_clips_follow_from_the_seed_and_the_halves_of_digits_differ(drawn: RecallClips) -> None:
    assert (recall_clips(60, seed=3).frames == drawn.frames).all()
    assert (recall_clips(60, seed=4).frames != drawn.frames).any()
    assert (recall_clips(60, seed=3, split="training").frames != drawn.frames).any()
    assert (recall_clips(60, seed=3).answers == drawn.answers).all()


def test_covered_cells_lie_around_the_centre(drawn: RecallClips) -> None:
    for clip in range(10):
        y, x = drawn.centre(clip, 2)
        cells = drawn.covered(clip, 2)
        assert cells.sum() in (4, 6, 9)
        assert cells[y // 4, x // 4]


def test_an_interrupted_run_ends_at_the_same_weights(tmp_path: Path) -> None:
    def trained(folder: Path, *until: int) -> RecallNL:
        folder.mkdir()
        torch.manual_seed(1)
        net = RecallNL("gaussian")
        for stop in (*until, 3):
            recall.train_trunk(
                net, seed=1, checkpoint=folder / "trunk.pt", report=str, steps=3, until=stop
            )
            recall.train(
                net, seed=1, name="n", checkpoint=folder / "n.pt", report=str, steps=3,
                until=stop if stop == 3 else 0,
            )  # fmt: skip
        return net

    one, other = trained(tmp_path / "a"), trained(tmp_path / "b", 2)
    for (name, a), b in zip(one.state_dict().items(), other.state_dict().values(), strict=True):
        assert torch.equal(a, b), name


def test_networks_that_train_together_end_as_each_alone(tmp_path: Path) -> None:
    torch.manual_seed(7)
    first = RecallNL(None).eval()
    cases: list[tuple[recall.RecallKind, RecallTask]] = [
        ("gaussian", "recall"), ("concatenation", "missing"), ("per_position", "single"),
        ("none", "missing"), ("dot_product", "single"),
    ]  # fmt: skip

    def learners(folder: Path) -> list[recall.Learner]:
        folder.mkdir(exist_ok=True)
        nets = [(f"{task}.{kind}", recall.fresh(kind, first, seed=2), task) for kind, task in cases]
        return [recall.Learner(n, net, task, folder / f"{n}.pt") for n, net, task in nets]

    together = learners(tmp_path / "together")
    recall.train_together(together[:2], seed=2, report=str, steps=3, until=2)
    together = learners(tmp_path / "together")  # one half has two steps behind it, the other none
    recall.train_together(together, seed=2, report=str, steps=3)
    for one, mine in zip(learners(tmp_path / "alone"), together, strict=True):
        before = {k: v.clone() for k, v in one.net.state_dict().items()}
        recall.train(
            one.net, seed=2, name=one.name, checkpoint=one.checkpoint, task=one.task, report=str,
            steps=3,
        )  # fmt: skip
        for name, value in one.net.state_dict().items():
            assert torch.equal(value, mine.net.state_dict()[name]), (one.name, name)
            assert name.startswith("trunk") == torch.equal(value, before[name]), (one.name, name)


def test_the_missing_colour_is_that_of_no_frame(drawn: RecallClips) -> None:
    for shown, missing in zip(drawn.colours, drawn.labels("missing"), strict=True):
        assert sorted([*shown, missing]) == [0, 1, 2, 3, 4]
    assert (drawn.labels("recall") == drawn.answers).all()


def test_single_clips_are_those_of_recall_less_three_digits(drawn: RecallClips) -> None:
    single = recall_clips(60, seed=3, task="single")
    assert (single.labels("single") == drawn.labels("recall")).all()
    outside = np.ones(drawn.frames.shape[:4], dtype=bool)
    for n, asked in enumerate(drawn.asked):
        for t in {0, 1, 2, 3} - {int(asked)}:
            y, x = drawn.corners[n, t]
            outside[n, t, y : y + DIGIT, x : x + DIGIT] = False
            square = single.frames[n, t, y : y + DIGIT, x : x + DIGIT].astype(float)
            assert square.std() < 25  # noise alone
    assert (single.frames == drawn.frames)[outside].all()


def test_the_control_is_as_large_as_a_block_and_sees_its_own_cell_alone() -> None:
    torch.manual_seed(3)
    sizes = {
        kind: sum(p.numel() for p in recall.fresh(kind, RecallNL(None), seed=1).nl.parameters())
        for kind in recall.KINDS
    }
    assert sizes["none"] == 0
    assert abs(sizes["per_position"] / sizes["embedded_gaussian"] - 1) < 0.01
    control = PerPosition(6)
    torch.nn.init.normal_(control.out.weight)
    x = torch.randn(1, 6, 2, 3, 4)
    other = x.clone()
    other[..., 1, 2, 3] += 1.0
    changed = (control(other) != control(x)).any(dim=1)[0]
    assert changed.sum() == changed[1, 2, 3] == 1


def test_a_file_tells_its_task(tmp_path: Path) -> None:
    words: str
    task: RecallTask
    for task, words in (
        ("recall", "recalling the colour"),
        ("missing", "no frame showed"),
        ("single", "the single coloured digit"),
    ):
        path = tmp_path / f"{task}.safetensors"
        recall.write(RecallNL("gaussian"), path, seed=3, found=0.5, task=task)
        found = nlviz.load_model(str(path), device="cpu")
        assert words in found.about.trained_for
        assert set(recall.read(path, "gaussian").state_dict()) == set(found.net.state_dict())


@pytest.mark.parametrize(("task", "kind"), BUNDLED)
def test_the_bundled_networks_answer_as_their_cards_say(
    task: RecallTask, kind: RecallPairwise
) -> None:
    drawn = recall_clips(60, seed=3, task=task)
    name = name_of(task, kind)
    weights = asset(f"weights/{name}.safetensors")
    told = json.loads(weights.with_suffix(".json").read_text("utf-8"))
    assert told["sha256"] == digest_of(weights)
    assert weights.stat().st_size < 1_000_000
    model = nlviz.load_model(name, device="cpu")
    found = model.net(recall.pixels(drawn)).argmax(1).numpy()
    share = float((found == drawn.labels(task)).mean())
    right = told["validation"]["right of 1000 held-out clips"]
    # Of 60 clips: three standard deviations, and a clip.
    assert abs(share - right) < 3 * (right * (1 - right) / 60) ** 0.5 + 1 / 60
    clip = drawn.clip(0)
    capture = model.capture(clip)
    assert capture.affinities["nl"].pairwise.name == kind
    assert capture.prediction(1)[0][0] == COLOURS[found[0]]
    # The model's own path from a clip to the input is the recipe's.
    torch.testing.assert_close(
        model.logits(clip), model.net(recall.pixels(drawn)[:1])[0], rtol=1e-4, atol=1e-4
    )


def test_the_asked_digit_looks_at_the_frame_that_shows_it(drawn: RecallClips) -> None:
    model = nlviz.load_model("recall.embedded-gaussian", device="cpu")
    hits = []
    for n in range(20):
        y, x = drawn.centre(n, 4)
        row = model.capture(drawn.clip(n)).affinities["nl"].map(frame=4, y=y, x=x)
        hits.append(int(row.per_frame()[:4].argmax()) == int(drawn.asked[n]))
    assert np.mean(hits) > 0.8


def test_the_bundled_clip_is_that_of_the_recipe_and_its_verdict_is_content(tmp_path: Path) -> None:
    bundled = asset("clips/recall.gif")
    clip = nlviz.read_clip(bundled)
    again = nlviz.read_clip(example(tmp_path / "again.gif"))
    assert (clip.frames == again.frames).all() and clip.shape == (5, 32, 32)
    capture = nlviz.load_model("recall.embedded-gaussian", device="cpu").capture(clip)
    assert capture.prediction(1)[0][0] == "red"
    found = nlviz.verdict(capture, "nl", (4, 17, 9))
    assert (found.source, found.matters) == ("content", "matters")
