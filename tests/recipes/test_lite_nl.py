"""The recipe of lite-nl: an interrupted run ends at the weights of an uninterrupted one."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from nlviz.errors import NlvizError
from nlviz.networks.lite_nl import LiteNL
from nlviz.networks.weights import load_into, read_weights
from nlviz.recipes import matching, restoring
from nlviz.recipes.feature_bank import Sample
from nlviz.recipes.footage import degrade, read_photos, window
from nlviz.recipes.lite_nl import write
from nlviz.recipes.training import Material, Plan, Training

PLAN = Plan(steps=2, clips=2, windows=1, held_out=1, batch=3, queries=16, size=(64, 80))


@pytest.fixture(scope="module")
def material() -> Material:
    rng = np.random.default_rng(0)
    photos = [rng.integers(0, 255, (100, 120, 3), np.uint8) for _ in range(2)]
    return Material(photos, photos, [rng.integers(0, 255, (6, 70, 90, 3), np.uint8)])


@pytest.fixture(scope="module")
def backbone() -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    return dict(LiteNL().backbone.state_dict())


@pytest.fixture(scope="module")
def finished(
    material: Material, backbone: dict[str, torch.Tensor], tmp_path_factory: pytest.TempPathFactory
) -> Training:
    training = Training(PLAN, material, tmp_path_factory.mktemp("whole"), backbone)
    training.run()
    return training


def test_interrupted_and_resumed_is_the_same(
    finished: Training, material: Material, backbone: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    for bank in ("training", "validation"):
        shutil.copytree(finished.work / bank, tmp_path / bank)
    for stop in (1, 3, None):  # within stage3, within stage4, to the end
        torch.manual_seed(99)
        resumed = Training(PLAN, material, tmp_path, backbone)
        report = resumed.run(until=stop)
    for (name, value), other in zip(
        finished.net.state_dict().items(), resumed.net.state_dict().values(), strict=True
    ):
        assert torch.equal(value, other), name
    assert report == finished.report


def test_features_are_the_same_when_made_again(
    finished: Training, material: Material, backbone: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    fresh = Training(PLAN, material, tmp_path, backbone)
    (sample, *_) = fresh.banks["training"].composed(1, lambda done: None)
    with np.load(finished.work / "training" / "composed-00000.npz") as stored:
        assert all(np.array_equal(sample[k], stored[k], equal_nan=True) for k in stored.files)


def test_a_checkpoint_of_another_plan_is_refused(
    finished: Training, material: Material, backbone: dict[str, torch.Tensor]
) -> None:
    other = Plan(steps=3, clips=2, windows=1, held_out=1, size=(64, 80))
    with pytest.raises(NlvizError, match="belongs to another plan"):
        Training(other, material, finished.work, backbone)


def test_written_weights_load(finished: Training, tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    write(finished.net, finished.control, path, PLAN)
    net = LiteNL()
    load_into(net, read_weights(path), source=path.name)
    assert all(
        torch.equal(v, finished.net.stage4.state_dict()[k])
        for k, v in net.stage4.state_dict().items()
    )
    # The backbone was rounded to half precision before training, so nothing moves here.
    own = finished.net.backbone.conv_stem.weight
    assert torch.equal(net.backbone.conv_stem.weight, own)
    assert set(read_weights(tmp_path / "weights-control.safetensors")) == {
        f"{name}.{part}" for name in ("stage3", "stage4") for part in ("weight", "bias")
    }


def test_matching_learns_a_shuffle() -> None:
    # Every frame holds the same cells in another order: the loss must fall and links be found.
    torch.manual_seed(0)
    t, c, h, w = 3, 8, 4, 5
    cells = torch.randn(h * w, c)
    orders = [torch.randperm(h * w) for _ in range(t)]
    x = torch.stack([cells[o].T.reshape(c, h, w) for o in orders]) + 3
    truth = torch.full((t, t, h * w, 2), 0.0)
    for a in range(t):
        for b in range(t):
            to = orders[b].argsort()[orders[a]]
            truth[a, b] = torch.stack([to // w, to % w], dim=1).float()
    shaken = x + torch.randn(t, c, h, w)
    sample = Sample(x.half(), shaken.half(), truth.half(), torch.ones(t, h * w, dtype=torch.uint8))
    from nlviz.networks.block import NonLocalBlock

    block = NonLocalBlock(c, inner=c, unit_length=True, norm=False)
    matching.initialise(block, [sample])
    found = matching.measure(
        matching.learned(block), [sample], scale=30.0, degraded=False, queries=60
    )
    assert found["top1"] == 1.0
    rng = np.random.default_rng(0)
    assert matching.correspondence_loss(block, sample, rng, queries=30) < 30
    assert matching.copying_loss(block, sample, rng, queries=30) < 0.7 * matching.SURE


def test_hits_leave_out_the_own_frame_and_what_is_hidden() -> None:
    truth = torch.zeros(2, 2, 6, 2)
    truth[0, 1, 4] = torch.tensor([1.0, 2.0])
    truth[0, 1, 5] = torch.nan
    right = matching.hits(truth, torch.tensor([4, 5]), 2, 3)
    assert right[0].tolist() == [False] * 6 + [False, True, True, False, True, True]
    assert not right[1].any()


def test_the_regression_is_the_best_linear_map() -> None:
    torch.manual_seed(0)
    x, noise = torch.randn(2, 3, 4, 5), torch.randn(2, 3, 4, 5)
    pairs = [(x, 0.5 * x + 0.1 * noise + 1)]
    best = restoring.regress([(*pairs[0], 1.0)], restoring.cells)
    least = restoring.remaining_error(pairs, best)
    for _ in range(5):
        other = restoring.Linear(best.weight + 0.02 * torch.randn(3, 3), best.bias + 0.02)
        assert restoring.remaining_error(pairs, other) > least
    assert least < 0.1 < restoring.remaining_error(pairs, None)


def test_windows_and_degradation() -> None:
    film = np.random.default_rng(0).integers(0, 255, (5, 60, 80, 3), np.uint8)
    rng = np.random.default_rng(0)
    frames = window(film, frames=8, size=(32, 48), rng=rng)
    assert frames.shape == (8, 32, 48, 3)
    flat = np.full((2, 64, 64, 3), 128, np.uint8)
    noisy = degrade(flat, rng, sigma=20).astype(float) - 128
    assert abs(noisy.std() - 20) < 0.5
    assert abs((noisy[0] * noisy[1]).mean()) < 10  # independent between frames


def test_a_folder_with_a_broken_picture_is_refused(tmp_path: Path) -> None:
    (tmp_path / "no.jpg").write_text("no picture")
    with pytest.raises(NlvizError, match="not a picture that OpenCV reads"):
        read_photos([tmp_path])
