"""A file of weights is put to the test: what passes, and what is complained about."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.errors import UnknownModel
from nlviz.zoo.verify import verify
from tests.families.writers.alexhex7 import digits
from tests.nets import noise_clip


def saved(folder: Path, name: str = "net.pth") -> Path:
    torch.save(digits("embedded_gaussian"), folder / name)
    return folder / name


def test_a_whole_file_passes(tmp_path: Path) -> None:
    found = verify(saved(tmp_path), device="cpu", clip=noise_clip(1))
    assert found.passed, found.complaints
    assert found.finite
    assert 0 <= found.rows_off < 1e-5
    assert found.digest_fits is None
    assert len(found.report.digest) == 64
    assert all(size > 0 for size in found.block_sizes.values())
    assert found.hint == "No published accuracy is known for this file."


def test_rows_that_do_not_give_the_output_are_complained_about(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(EmbeddedAffinity, "parity_error", lambda self, sample: 0.25)
    found = verify(saved(tmp_path), device="cpu", clip=noise_clip(1))
    assert not found.passed
    assert "by 25.0%" in found.complaints[0]


def test_a_flag_that_does_not_fit_the_file_is_told(tmp_path: Path) -> None:
    found = verify(saved(tmp_path), device="cpu", pairwise="gaussian")
    assert not found.passed
    assert "unexpected" in found.complaints[0]
    assert found.finite is None


def test_a_published_name_with_another_content(tmp_path: Path) -> None:
    name = "i3d_imagenet-pretrained-r50-nl-gaussian_8xb8-32x2x1-100e_kinetics400-rgb_20220812-"
    found = verify(saved(tmp_path, f"{name}0c5cbf5a.pth"), device="cpu", clip=noise_clip(1))
    assert found.card is not None
    assert found.digest_fits is False
    assert "begins with 0c5cbf5a" in found.complaints[0]
    assert "73.97" in found.hint


def test_a_name_that_is_none() -> None:
    with pytest.raises(UnknownModel, match="did you mean 'lite-nl'"):
        verify("lite-ln")
