"""The recipe of the denoisers: what it draws, that it learns, and that it can be interrupted."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from nlviz.errors import NlvizError
from nlviz.networks.block import NonLocalBlock
from nlviz.networks.denoising import BlockKind, DenoisingNet
from nlviz.recipes import denoiser
from nlviz.recipes.denoiser import Stage, train, trunk, twin
from nlviz.recipes.noisy_patches import Batch, PatchBank, read_bank

STAGE = Stage(steps=3, batch=2, size=20, rate=1e-3, last_rate=0.5, warm_up=2)
KINDS: tuple[BlockKind, ...] = ("local", "nonlocal")


def photo(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Return something smooth with edges, so that there is something to learn."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (height // 16 + 1, width // 16 + 1, 3), np.uint8)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR))


@pytest.fixture(scope="module")
def bank() -> PatchBank:
    return PatchBank([photo(104, 150), photo(120, 98, 1)])


@pytest.fixture
def start(bank: PatchBank) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return {k: v for k, v in DenoisingNet("local").state_dict().items() if "block" not in k}


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def test_a_draw_depends_on_seed_and_step_alone(bank: PatchBank) -> None:
    first = bank.draw(3, 24, seed=5, step=7)
    bank.draw(2, 16, seed=1, step=0)
    again = bank.draw(3, 24, seed=5, step=7)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    for seed, step in ((5, 8), (6, 7)):
        assert not torch.equal(bank.draw(3, 24, seed=seed, step=step).noisy, first.noisy)


def test_noise_is_as_strong_as_told_and_alike_in_the_channels_of_grey_patches() -> None:
    bank = PatchBank([photo(100, 130)])
    clean, noisy, sigma = bank.draw(40, 64, seed=0, step=0)
    noise = noisy - clean
    assert torch.allclose(noise.std((1, 2, 3)), sigma, rtol=0.05)
    assert 0 <= sigma.min() and sigma.max() <= 55 / 255 and sigma.std() > 0.03
    grey = (clean[:, :1] == clean).all((1, 2, 3))
    assert 8 < grey.sum() < 32
    assert (noise[grey] - noise[grey][:, :1]).abs().max() < 1e-6  # of the sum, not of the noise
    apart = noise[~grey]
    assert abs(float((apart[:, 0] * apart[:, 1]).mean())) < 0.05 * float(apart.square().mean())


def test_patches_are_cut_from_everywhere_in_eight_positions() -> None:
    y, x = np.indices((40, 50))
    bank = PatchBank([np.stack([y, x, np.full_like(y, 9)], axis=-1).astype(np.uint8)])
    seen, corners = set(), set()
    for step in range(80):
        clean = (bank.draw(1, 30, seed=0, step=step).clean[0] * 255).round()
        if bool((clean[0] == clean[1]).all()):
            continue  # a grey one
        down, right = (clean[:2, 1, 0] - clean[:2, 0, 0]), (clean[:2, 0, 1] - clean[:2, 0, 0])
        seen.add((*down.int().tolist(), *right.int().tolist()))
        corners.add((int(clean[0].min()), int(clean[1].min())))
    assert len(seen) == 8
    assert max(c[0] for c in corners) > 7 and max(c[1] for c in corners) > 15


def test_twins_see_the_same_patches(
    bank: PatchBank, start: dict[str, torch.Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: dict[str, list[Batch]] = {}
    draw = bank.draw
    for kind in KINDS:
        net = twin(start, kind, bank, 4)
        seen = drawn.setdefault(kind, [])

        def watch(
            count: int, size: int, *, seed: int, step: int, seen: list[Batch] = seen
        ) -> Batch:
            seen.append(draw(count, size, seed=seed, step=step))
            return seen[-1]

        with monkeypatch.context() as patch:
            patch.setattr(bank, "draw", watch)
            train(net, bank, STAGE, seed=5, checkpoint=tmp_path / f"{kind}.pt")
    assert len(drawn["local"]) == STAGE.steps
    for a, b in zip(drawn["local"], drawn["nonlocal"], strict=True):
        assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True))
    assert not torch.equal(drawn["local"][0].clean, drawn["local"][1].clean)


@pytest.mark.parametrize("kind", KINDS)
def test_interrupted_and_resumed_is_the_same(
    kind: BlockKind, bank: PatchBank, start: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    class Interrupted(Exception):
        pass

    def stop(steps: int, loss: float) -> None:
        if steps == 2:
            raise Interrupted

    whole = train(twin(start, kind, bank, 1), bank, STAGE, seed=2, checkpoint=tmp_path / "a.pt")
    checkpoint = tmp_path / "b.pt"
    with pytest.raises(Interrupted):
        train(
            twin(start, kind, bank, 1),
            bank,
            STAGE,
            seed=2,
            checkpoint=checkpoint,
            report=stop,
            every=1,
        )
    torch.manual_seed(99)
    counted: list[int] = []
    resumed = train(
        twin(start, kind, bank, 1),
        bank,
        STAGE,
        seed=2,
        checkpoint=checkpoint,
        report=lambda steps, loss: counted.append(steps),
    )
    assert counted == [3]
    assert same(whole, resumed)
    # And a finished run trains no more.
    assert same(train(DenoisingNet(kind), bank, STAGE, seed=2, checkpoint=checkpoint), whole)


def test_twins_start_as_the_trunk(bank: PatchBank, start: dict[str, torch.Tensor]) -> None:
    local, other = (twin(start, kind, bank, 0).eval() for kind in KINDS)
    x, sigma = torch.rand(1, 3, 12, 18), torch.tensor([0.1])
    with torch.no_grad():
        assert torch.equal(local(x, sigma), other(x, sigma))
    assert isinstance(other.block, NonLocalBlock)
    # theta is phi, and the features are white in it.
    assert torch.equal(other.block.theta.weight, other.block.phi.weight)
    batch = bank.draw(denoiser.TWINS.batch, denoiser.TWINS.size, seed=0, step=denoiser.TWINS.steps)
    with torch.no_grad():
        features = other.features(batch.noisy, batch.sigma)[1]
        embedded = other.block.theta(features).transpose(0, 1).flatten(1)
    torch.testing.assert_close(torch.cov(embedded), torch.eye(24), atol=0.05, rtol=0)


@pytest.mark.slow
def test_a_few_steps_lower_the_loss(bank: PatchBank, tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = DenoisingNet("nonlocal")
    stage = Stage(steps=60, batch=4, size=32, rate=3e-3, last_rate=0.1, warm_up=5)
    average = train(net, bank, stage, seed=1, checkpoint=tmp_path / "few.pt")
    trained = DenoisingNet("nonlocal").eval()
    trained.load_state_dict(average)
    clean, noisy, sigma = bank.draw(16, 32, seed=99, step=0)
    with torch.no_grad():
        left = (trained(noisy, sigma) - clean).square().mean((1, 2, 3)).sqrt()
    # Part of the noise is gone where there is much of it.
    strong = sigma > 0.08
    assert left[strong].mean() < 0.7 * sigma[strong].mean()


def test_the_trunk_is_trained_once(
    bank: PatchBank, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(denoiser, "TRUNK", STAGE)
    told: list[int] = []
    options = {"device": torch.device("cpu"), "report": lambda steps, loss: told.append(steps)}
    path = trunk(bank, tmp_path, **options)
    before = path.read_bytes()
    assert trunk(bank, tmp_path, **options).read_bytes() == before
    assert told == [STAGE.steps]


def test_the_command_writes_twins_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(denoiser, "TRUNK", STAGE)
    monkeypatch.setattr(denoiser, "TWINS", STAGE)
    photos = tmp_path / "photos"
    photos.mkdir()
    cv2.imwrite(str(photos / "one.png"), photo(720, 800))
    (photos / "notes.txt").write_text("no picture")
    command = ["--photos", str(photos), "--work", str(tmp_path / "work"), "--out", str(tmp_path)]
    command += ["--seeds", "3", "--device", "cpu"]
    denoiser.main([*command, "--kinds", "local"])
    denoiser.main(command)
    files = sorted(tmp_path.glob("*.safetensors"))
    assert [f.name for f in files] == [f"denoiser-{k}-3.safetensors" for k in KINDS]
    first = [load_file(f) for f in files]
    denoiser.main(command)
    assert all(same(load_file(f), w) for f, w in zip(files, first, strict=True))
    with safe_open(files[1], "pt") as stored:
        assert stored.metadata()["kind"] == "nonlocal" and stored.metadata()["seed"] == "3"


def test_the_bank_is_kept_and_holds_reduced_pictures(tmp_path: Path) -> None:
    for name, size in (("large", (1100, 1300)), ("middle", (730, 900)), ("small", (300, 500))):
        cv2.imwrite(str(tmp_path / f"{name}.png"), photo(*size))
    bank = read_bank(tmp_path.glob("*.png"), kept=tmp_path / "bank.npz")
    shapes = [p.shape[:2] for p in bank.pictures]
    assert [min(s) for s in shapes] == [600, 400, 400]
    for a, b in pairwise([bank, read_bank([], kept=tmp_path / "bank.npz")]):
        assert all(np.array_equal(x, y) for x, y in zip(a.pictures, b.pictures, strict=True))


def test_without_photographs_there_is_no_training(tmp_path: Path) -> None:
    with pytest.raises(NlvizError, match="at least one photograph; add --photos DIR"):
        PatchBank([])
    with pytest.raises(NlvizError, match="patches of 31 px do not fit into a picture of 50x30 px"):
        PatchBank([photo(30, 50)]).draw(1, 31, seed=0, step=0)
    cv2.imwrite(str(tmp_path / "small.png"), photo(300, 500))
    with pytest.raises(NlvizError, match="at least 720 pixels"):
        read_bank([tmp_path / "small.png"], kept=tmp_path / "bank.npz")
