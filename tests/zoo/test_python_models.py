"""Networks that a function of the user's own module builds."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import nlviz
from nlviz.errors import NlvizError, UnknownModel
from nlviz.words.load_report import report_text
from nlviz.zoo import app_offers
from nlviz.zoo.app_offers import offer_function
from nlviz.zoo.python_models import built_by
from nlviz.zoo.source import ModelSource
from tests.app.test_explore import app, texts
from tests.cli.test_cli import run

SOURCE = """
import torch
from torch import nn
import nlviz

def build():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 8, 3, stride=8, padding=1), nn.ReLU())
    nlviz.insert(net, after="1", pairwise="gaussian", unit_length=True)
    return net

def ready():
    spec = nlviz.InputSpec(size=64, layout="frames")
    return nlviz.Model(build(), input_spec=spec, about=nlviz.About("my net", "nothing yet"))

def classifier():
    net = build()
    net.extend([nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5)])
    return net

def broken():
    raise RuntimeError("the disk is full")

def number():
    return 7
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    name = f"own_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(app_offers, "_functions", [])
    before = list(sys.path)
    yield name
    sys.path[:] = before
    sys.modules.pop(name, None)


def test_a_module_or_a_model_is_looked_into(module: str) -> None:
    assert built_by(f"{module}:build").about.name == f"{module}:build"
    model = built_by(f"{module}:ready")
    assert model.about.name == "my net"
    assert model.blocks == ("1",)


@pytest.mark.parametrize(
    ("function", "told"),
    [
        ("broken", "raised: RuntimeError: the disk is full"),
        ("number", "must return an nn.Module or a nlviz.Model, it returned int"),
        ("biuld", "no function 'biuld'; did you mean 'build'"),
    ],
)
def test_what_goes_wrong_is_told(module: str, function: str, told: str) -> None:
    with pytest.raises(NlvizError, match=told):
        built_by(f"{module}:{function}")


def test_modules_that_are_not_there_or_do_not_import(module: str, tmp_path: Path) -> None:
    with pytest.raises(NlvizError, match="start in the folder that holds nowhere_at_all"):
        built_by("nowhere_at_all:build")
    (tmp_path / f"{module}_bad.py").write_text("import nothing_of_this_name\n")
    with pytest.raises(NlvizError, match="could not be imported: ModuleNotFoundError"):
        built_by(f"{module}_bad:build")
    with pytest.raises(NlvizError, match="MODULE:FUNCTION"):
        offer_function("weights/net.pth")


def test_no_code_runs_without_leave(module: str) -> None:
    name = f"{module}:ready"
    source = ModelSource.parse(name)
    for ask in (source.load, source.inspect, source.examine):
        with pytest.raises(UnknownModel, match="which only you can allow"):
            ask()
    with pytest.raises(UnknownModel, match="allow_code=True"):
        nlviz.load_model(name)
    assert module not in sys.modules
    assert nlviz.load_model(name, allow_code=True, device="cpu").about.name == "my net"


def test_flags_and_families_reach_the_network_or_are_refused(module: str) -> None:
    name = f"{module}:build"
    with pytest.raises(NlvizError, match="the flag scale changes nothing"):
        nlviz.load_model(name, allow_code=True, scale=True)
    with pytest.raises(NlvizError, match="no family is called 'blocks'"):
        nlviz.load_model(name, allow_code=True, family="blocks")
    with pytest.raises(NlvizError, match="leave out family='timm-vit'"):
        nlviz.load_model(f"{module}:ready", allow_code=True, family="timm-vit")
    half = nlviz.load_model(name, allow_code=True, device="cpu", autocast="bfloat16")
    assert half.autocast is torch.bfloat16


def test_its_report_lists_the_blocks(module: str) -> None:
    report = nlviz.inspect_weights(f"{module}:build", allow_code=True)
    (block,) = report.blocks
    assert (block.name, block.channels, block.inner, block.pairwise) == ("1", 8, 4, "gaussian")
    assert report.complete
    told = report_text(report)
    assert "a network in memory" in told
    assert told.endswith("not read from a file.")


@pytest.mark.parametrize("command", ["predict", "inspect", "verify"])
def test_the_other_commands_take_it(module: str, command: str) -> None:
    arguments = {
        "predict": ["cat.jpg", "--model", f"{module}:classifier", "--top", "2"],
        "inspect": [f"{module}:build", "--clip", "cat.jpg"],
        "verify": [f"{module}:classifier"],
    }
    expected = {
        "predict": "class ",
        "inspect": "1 on cat.jpg",
        "verify": "Wrong: What these blocks add is zero, they do nothing: 1.",
    }
    result = run(command, *arguments[command])
    assert result.exit_code == (1 if command == "verify" else 0), result.output
    assert expected[command] in result.output


def test_a_view_file_runs_no_code(module: str, tmp_path: Path) -> None:
    name, look = f"{module}:build", tmp_path / "look.json"
    assert run("attend", "cat.jpg", "--model", name, "--size", "64", "-o", look).exit_code == 0
    sys.modules.pop(module)
    result = run("render", look)
    assert result.exit_code == 1
    assert f"if the code is yours, say --weights {name}" in result.stderr
    assert module not in sys.modules
    assert run("render", look, "--weights", name).exit_code == 0


def test_attend_takes_it(module: str, tmp_path: Path) -> None:
    out = tmp_path / "look.npz"
    result = run("attend", "cat.jpg", "--model", f"{module}:ready", "-o", out)
    assert result.exit_code == 0, result.output
    assert out.is_file()
    result = run("attend", "cat.jpg", "--model", f"{module}:broken", "-o", out)
    assert result.exit_code == 1
    assert "the disk is full" in result.stderr


def test_the_app_opens_what_was_offered_and_nothing_else(module: str) -> None:
    place = f"{module}:ready"
    test = app(clip="cat.jpg", model=place)
    assert "o model is called" in texts(test)
    assert module not in sys.modules
    offer_function(place)
    test = app(clip="cat.jpg", model=place)
    assert not test.error
    assert test.selectbox(key="model").value == place
    assert test.selectbox(key="block").options == ["1"]
