"""The learned denoisers: tiles and blocks against plain operations, odd sizes, the affinity."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from nlviz.denoise.networks import restore as learned
from nlviz.denoise.networks import tiles as blockwise
from nlviz.denoise.networks.restore import affinity_of_planes, learned_affinity, load, restore
from nlviz.errors import NlvizError, WeightsMismatch
from nlviz.networks.block import NonLocalBlock
from nlviz.networks.denoising import BlockKind, DenoisingNet
from nlviz.resources import asset

KINDS: tuple[BlockKind, ...] = ("local", "nonlocal")


def stirred(kind: BlockKind) -> DenoisingNet:
    """Return a network whose every part matters."""
    torch.manual_seed(3)
    net = DenoisingNet(kind)
    for name, p in net.named_parameters():
        if name.startswith("block.") and p.dim():
            nn.init.normal_(p, std=0.2)
    nn.init.normal_(net.tail.weight, std=0.02)
    return net.eval().requires_grad_(False)


def picture(c: int, height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((c, height, width), np.float32)


def in_window(h: int, w: int) -> torch.Tensor:
    """Return which keys each query reaches, from the rule itself: (queries, keys)."""

    def axis(n: int) -> torch.Tensor:
        first = torch.arange(n)[:, None] // 32 * 32
        key = torch.arange(n)[None]
        return (key >= first - 16) & (key < first + 32 + 16)

    return (axis(h)[:, None, :, None] & axis(w)[None, :, None, :]).reshape(h * w, h * w)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_tiles_give_what_the_whole_picture_gives(
    kind: BlockKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    net, noisy = stirred(kind), picture(3, 402, 268)
    whole = restore(noisy, 0.1, net)
    assert np.abs(whole - noisy).max() > 0.1
    monkeypatch.setattr(blockwise, "TILE", 64)
    assert len(blockwise.tiles(402, 268)) == 4 * 3
    np.testing.assert_allclose(restore(noisy, 0.1, net), whole, atol=1e-6, rtol=0)


def test_the_local_network_is_its_own_forward_pass() -> None:
    net, noisy = stirred("local"), picture(3, 70, 90)
    wanted = net(torch.from_numpy(noisy)[None], torch.tensor([0.1]))[0].numpy()
    np.testing.assert_allclose(restore(noisy, 0.1, net), wanted, atol=1e-6, rtol=0)


def test_one_block_of_queries_is_the_non_local_block_itself() -> None:
    # 32 x 29 cells: one block of queries, whose keys are all cells.
    net, noisy = stirred("nonlocal"), picture(3, 64, 58)
    wanted = net(torch.from_numpy(noisy)[None], torch.tensor([0.1]))[0].numpy()
    np.testing.assert_allclose(restore(noisy, 0.1, net), wanted, atol=1e-5, rtol=0)


@pytest.mark.slow
def test_the_product_is_a_softmax_over_the_cells_around_the_block() -> None:
    h, w, d = 40, 83, 5
    torch.manual_seed(0)
    theta, phi = torch.randn(h, w, d), torch.randn(h, w, d)
    g = torch.randn(h, w, d + 2)
    inside = in_window(h, w)
    assert not inside.all()
    logits = 1.7 * theta.flatten(0, 1) @ phi.flatten(0, 1).T
    rows = logits.masked_fill(~inside, -torch.inf).softmax(1)
    wanted = (rows @ g.flatten(0, 1)).reshape(h, w, -1)
    found = blockwise.product(theta, phi, g, scale=torch.tensor(1.7))
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)
    same = inside.float() / inside.sum(1, keepdim=True)
    found = blockwise.product(theta, phi, g, scale=1.7, control="uniform")
    wanted = (same @ g.flatten(0, 1)).reshape(h, w, -1)
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)
    assert torch.equal(blockwise.product(theta, phi, g, scale=1.7, control="own"), g)


def test_controls_change_the_block_and_nothing_else() -> None:
    net, noisy = stirred("nonlocal"), picture(1, 50, 62)
    found = {c: restore(noisy, 0.1, net, control=c) for c in (None, "uniform", "own")}
    assert np.abs(found[None] - found["uniform"]).max() > 1e-3
    assert np.abs(found[None] - found["own"]).max() > 1e-3
    assert isinstance(net.block, NonLocalBlock)
    nn.init.zeros_(net.block.out.weight)  # then y is the same whatever the affinity
    again = [restore(noisy, 0.1, net, control=c) for c in (None, "uniform", "own")]
    assert np.array_equal(again[0], again[1]) and np.array_equal(again[0], again[2])


@pytest.mark.parametrize("size", [(1, 1), (1, 8), (9, 1), (2, 3), (5, 7), (33, 66)])
@pytest.mark.parametrize("kind", KINDS)
def test_odd_and_tiny_pictures_are_mirrored_to_even_sides(
    kind: BlockKind, size: tuple[int, int]
) -> None:
    net, noisy = stirred(kind), picture(1, *size)
    even = np.pad(noisy, ((0, 0), (0, size[0] % 2), (0, size[1] % 2)), mode="reflect")
    wanted = restore(even, 0.2, net)[:, : size[0], : size[1]]
    found = restore(noisy, 0.2, net)
    assert found.shape == noisy.shape and np.isfinite(found).all()
    np.testing.assert_array_equal(found, wanted)


def test_grey_is_three_equal_channels_and_their_mean() -> None:
    net, noisy = stirred("nonlocal"), picture(1, 30, 44)
    wanted = restore(np.repeat(noisy, 3, axis=0), 0.1, net).mean(0)
    np.testing.assert_allclose(restore(noisy, 0.1, net)[0], wanted, atol=1e-6, rtol=0)


def test_types_are_kept_and_pictures_are_not_changed() -> None:
    net, noisy = stirred("local"), picture(1, 12, 14).astype(np.float64)
    before = noisy.copy()
    found = restore(noisy, 0.1, net)
    assert found.dtype == np.float64
    assert restore(noisy.astype(np.float32), 0.1, net).dtype == np.float32
    same = restore(noisy, 0, net)
    assert np.array_equal(same, before) and same is not noisy
    assert np.array_equal(noisy, before)


def test_noise_beyond_the_training_is_scaled_into_it() -> None:
    net, noisy = stirred("local"), 4 * picture(3, 16, 22)
    most = learned.TRAINED_SIGMA
    wanted = 3 * restore(noisy / 3, most, net)
    np.testing.assert_allclose(restore(noisy, 3 * most, net), wanted, atol=1e-5, rtol=0)


def test_progress_rises_and_can_stop_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blockwise, "TILE", 64)
    net, noisy = stirred("nonlocal"), picture(1, 150, 160)
    shares: list[float] = []
    restore(noisy, 0.1, net, progress=lambda sentence, share: shares.append(share))
    assert shares == sorted(shares) and shares[0] == 0 and shares[-1] == 1 and len(shares) > 8

    def stop(sentence: str, share: float) -> None:
        if share > 0.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        restore(noisy, 0.1, net, progress=stop)


@pytest.mark.parametrize("size", [(90, 151), (200, 70)])
def test_rows_times_values_are_what_the_block_computed(
    size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blockwise, "TILE", 64)
    net, noisy = stirred("nonlocal"), picture(1, *size)
    affinity = affinity_of_planes(noisy, 0.1, net)
    h, w = (-(-n // 2) for n in size)
    assert affinity.queries.shape == affinity.keys.shape == (1, h, w)
    assert affinity.queries.centre(w + 2) == (0.0, 2.5, 4.5)
    assert affinity.values is not None and affinity.output is not None
    index = torch.arange(0, h * w, 7)
    rows = affinity.rows(index)
    torch.testing.assert_close(
        rows @ affinity.values, affinity.output[:, index], atol=1e-5, rtol=1e-5
    )
    assert torch.equal(rows[0] > 0, in_window(h, w)[index])
    torch.testing.assert_close(affinity.column(9)[0, index], rows[0, :, 9], atol=1e-6, rtol=1e-4)
    error = affinity.parity_error()
    assert error is not None and error < 1e-5
    assert abs(affinity.map(frame=0, y=size[0] - 1, x=3).weights.sum() - 1) < 1e-4


def test_the_affinity_carries_the_picture() -> None:
    # What rows, W_z and the layers behind make of the noisy picture is what restore returns.
    net, noisy = stirred("nonlocal"), picture(3, 76, 130)
    affinity = affinity_of_planes(noisy, 0.1, net)
    assert affinity.values is not None and isinstance(net.block, NonLocalBlock)
    y = affinity.dense() @ affinity.values
    x = torch.from_numpy(noisy)[None]
    low, features = net.features(x, torch.tensor([0.1]))
    z = features + net.block.out(y.mT.reshape(1, -1, 38, 65))
    wanted = net.cleaned(x, low, z)[0].numpy()
    np.testing.assert_allclose(restore(noisy, 0.1, net), wanted, atol=1e-5, rtol=0)


def test_the_range_of_a_picture_plays_no_part() -> None:
    grey = np.random.default_rng(0).integers(0, 256, (36, 50), np.uint8)
    rows = learned_affinity(grey, sigma=20).rows([3])
    for image, sigma, white in (
        (grey.astype(np.uint16) * 257, 20 * 257, None),
        (grey / 255, 20 / 255, None),
        (grey * 10.0, 200, 2550),
    ):
        other = learned_affinity(image, sigma=sigma, data_range=white)
        torch.testing.assert_close(other.rows([3]), rows, atol=1e-6, rtol=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_the_bundled_networks_denoise_photographs(kind: BlockKind) -> None:
    read = cv2.imread(str(asset("photos/coffee.jpg")))
    assert read is not None
    colour = np.ascontiguousarray(read[100:228, 150:300, ::-1].transpose(2, 0, 1), np.float32) / 255
    grey = colour.mean(0, keepdims=True)
    rng = np.random.default_rng(0)
    for clean, gain in ((grey, 8.0), (colour, 9.0)):
        noise = rng.standard_normal(clean.shape, np.float32) * np.float32(25 / 255)
        found = restore(clean + noise, 25 / 255, kind)
        before, after = (float(np.square(e).mean()) for e in (noise, found - clean))
        assert 10 * np.log10(before / after) > gain


def test_a_changed_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for end in ("safetensors", "json"):
        shutil.copy(asset(f"weights/denoiser-local.{end}"), tmp_path)
    monkeypatch.setattr(learned, "asset", lambda name: tmp_path / Path(name).name)
    path = tmp_path / "denoiser-local.safetensors"
    assert load.__wrapped__("local").kind == "local"
    changed = bytearray(path.read_bytes())
    changed[-1] ^= 1
    path.write_bytes(changed)
    with pytest.raises(WeightsMismatch, match="must have the sha256"):
        load.__wrapped__("local")


def test_loaded_networks_are_shared() -> None:
    assert load("local") is load("local")
    assert not any(p.requires_grad for p in load("nonlocal").parameters())


def test_what_makes_no_sense_is_refused() -> None:
    net, noisy = stirred("local"), picture(1, 6, 8)
    with pytest.raises(NlvizError, match="is local or nonlocal, got 'best'"):
        restore(noisy, 0.1, "best")  # type: ignore[arg-type]
    with pytest.raises(NlvizError, match=r"these have \(6, 8\)"):
        restore(noisy[0], 0.1, net)
    with pytest.raises(NlvizError, match="sigma must be 0 or above, and finite, got -1"):
        restore(noisy, -1, net)
    with pytest.raises(NlvizError, match="got nan"):
        restore(noisy, float("nan"), net)
    with pytest.raises(NlvizError, match="has no affinity to replace"):
        restore(noisy, 0.1, net, control="own")
    with pytest.raises(NlvizError, match="uniform or own, got 'none'"):
        restore(noisy, 0.1, net, control="none")  # type: ignore[arg-type]
    with pytest.raises(NlvizError, match="has no affinity"):
        affinity_of_planes(noisy, 0.1, net)
    with pytest.raises(NlvizError, match="1 or 3 channels, this picture has 4"):
        learned_affinity(np.zeros((5, 7, 4), np.uint8), sigma=25)


@pytest.mark.gpu
def test_cuda_gives_the_same() -> None:
    noisy = picture(3, 150, 170)
    for kind in KINDS:
        there = restore(noisy, 0.1, kind, device="cuda")
        np.testing.assert_allclose(there, restore(noisy, 0.1, kind), atol=2e-3, rtol=0)
