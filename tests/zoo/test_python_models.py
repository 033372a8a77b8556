"""Networks that a function of the user's own module builds."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nlviz.errors import NlvizError
from nlviz.zoo import python_models as own_models
from nlviz.zoo.python_models import offer, own_model
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
    monkeypatch.setattr(own_models, "_offered", [])
    before = list(sys.path)
    yield name
    sys.path[:] = before
    sys.modules.pop(name, None)


def test_a_module_or_a_model_is_looked_into(module: str) -> None:
    assert own_model(f"{module}:build").about.name == f"{module}:build"
    model = own_model(f"{module}:ready")
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
        own_model(f"{module}:{function}")


def test_modules_that_are_not_there_or_do_not_import(module: str, tmp_path: Path) -> None:
    with pytest.raises(NlvizError, match="start in the folder that holds nowhere_at_all"):
        own_model("nowhere_at_all:build")
    (tmp_path / f"{module}_bad.py").write_text("import nothing_of_this_name\n")
    with pytest.raises(NlvizError, match="could not be imported: ModuleNotFoundError"):
        own_model(f"{module}_bad:build")
    with pytest.raises(NlvizError, match="MODULE:FUNCTION"):
        offer("weights/net.pth")


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
    offer(place)
    test = app(clip="cat.jpg", model=place)
    assert not test.error
    assert test.selectbox(key="model").value == place
    assert test.selectbox(key="block").options == ["1 (1×8×12 cells)"]
