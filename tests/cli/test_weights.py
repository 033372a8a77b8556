"""The command line on files of weights: real containers, from the shell's point of view."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from tests.cli.test_cli import run
from tests.families.writers.alexhex7 import digits
from tests.families.writers.tea1528 import state_of

CLIP = "composed-twins.mp4"


@pytest.fixture(autouse=True)
def somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def ckpt(tmp_path: Path) -> Path:
    path = tmp_path / "ckpt.t7"
    torch.save({"net": state_of("embedded_gaussian"), "acc": 93.5, "epoch": 180}, path)
    return path


def test_inspect_reports_flags_with_origins_and_warnings(ckpt: Path) -> None:
    result = run("inspect", ckpt, "--set", "scale=true")
    assert result.exit_code == 0, result.output
    assert "ResNet-20 for small pictures with 1 non-local block" in result.output
    assert "(user: logits are multiplied by d^-1/2)" in result.output
    assert "The keys are the same for embedded_gaussian and dot_product" in result.output
    told = json.loads(run("inspect", ckpt, "--json").stdout)
    assert told["family"] == "tea1528"
    assert told["complete"] is True


def test_another_part_of_a_file_is_named_and_taken(tmp_path: Path) -> None:
    own, averaged = digits("gaussian", seed=1), digits("gaussian", seed=2)
    torch.save({"model": own, "model_ema": averaged}, tmp_path / "net.pth")
    result = run("inspect", "net.pth")
    assert result.exit_code == 0, result.output
    assert "a copy of the same network; part=model_ema takes it" in result.output
    told = json.loads(run("inspect", "net.pth", "--set", "part=model_ema", "--json").stdout)
    assert told["part"] == "model_ema"
    assert "model" in told["beside"]
    result = run("inspect", "net.pth", "--set", "part=swa")
    assert result.exit_code == 1
    assert "no network under 'swa' that a layout knows; its parts are model, model_ema" in (
        " ".join(result.output.split())
    )


def test_inspect_with_a_clip_says_whether_the_block_is_alive(ckpt: Path) -> None:
    result = run("inspect", ckpt, "--clip", "cat.jpg")
    assert result.exit_code == 0, result.output
    assert "layer2.2 on cat.jpg" in result.output
    assert "The block is alive" in result.output
    assert "is what the block changes its input by" in result.output


def test_a_file_that_is_not_whole_leaves_with_an_error(tmp_path: Path) -> None:
    state = digits("gaussian")
    del state["nl_1.g.0.bias"]
    path = tmp_path / "net.pth"
    torch.save(state, path)
    result = run("inspect", path)
    assert result.exit_code == 1
    assert "nl1.g.bias" in result.output
    assert "Not complete: 1 missing" in result.output
    result = run("attend", CLIP, "--weights", path)
    assert result.exit_code == 1
    assert "does not fit" in result.stderr


def test_attend_and_render_take_a_file(ckpt: Path, somewhere: Path) -> None:
    arguments = ("--weights", ckpt, "--frames", "2", "--size", "96")
    result = run("attend", CLIP, *arguments, "-o", "look.json")
    assert result.exit_code == 0, result.output
    view = json.loads((somewhere / "look.json").read_text())
    assert view["model"]["name"] == "tea1528 (ckpt.t7)"
    result = run("render", "look.json")
    assert result.exit_code == 1
    assert "--weights FILE" in result.stderr
    result = run("render", "look.json", "--weights", ckpt)
    assert result.exit_code == 0, result.output
    with Image.open(somewhere / "look.png") as picture:
        assert picture.width > 300
    result = run("render", "look.json", "--weights", ckpt, "--set", "pairwise=cosine")
    assert result.exit_code == 1
    assert "the flag pairwise is one of" in result.stderr


def test_files_that_hold_no_weights_are_told_in_a_sentence(tmp_path: Path) -> None:
    page = tmp_path / "i3d.pth"
    page.write_text("<!doctype html><title>Sign in</title>")
    for command in (("inspect", page), ("attend", CLIP, "--weights", page)):
        result = run(*command)
        assert result.exit_code == 1
        assert "i3d.pth" in result.stderr
        assert "Traceback" not in result.output


def test_predict_prints_labels_of_one_clip_and_says_what_it_is_not(tmp_path: Path) -> None:
    result = run("predict", "cat.jpg", "--top", "3")
    assert result.exit_code == 0, result.output
    lines = result.stdout.strip().splitlines()
    assert len(lines) == 3
    assert any("cat" in line for line in lines)
    path = tmp_path / "net.pth"
    torch.save(digits("embedded_gaussian"), path)
    result = run("predict", "cat.jpg", "--weights", path, "--views")
    assert result.exit_code == 1
    assert "how a network samples videos" in result.stderr


def test_verify_passes_whole_files_and_names_what_is_wrong(ckpt: Path, tmp_path: Path) -> None:
    result = run("verify", ckpt)
    assert result.exit_code == 0, result.output
    assert "layer2.2 adds" in result.stdout
    assert "nothing published" in result.stdout
    assert "bunny.mp4: class" in result.stdout
    assert result.stdout.endswith("Nothing speaks against it.\n")
    state = state_of("embedded_gaussian")
    for end in ("weight", "bias"):
        state[f"layer2.2.W_z.1.{end}"].zero_()
    dead = tmp_path / "dead.t7"
    torch.save({"net": state}, dead)
    result = run("verify", dead)
    assert result.exit_code == 1
    assert "do nothing: layer2.2" in result.stderr
    named = tmp_path / "i3d_nl5_resnet50_v1_kinetics400-9df1e103.pth"
    torch.save({"net": state_of("embedded_gaussian")}, named)
    result = run("verify", named)
    assert result.exit_code == 1
    assert "The digest is not that of" in result.stderr
