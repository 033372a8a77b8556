"""Names of models: what each stands for, and that nothing is loaded to find out."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from nlviz.errors import UnknownModel
from nlviz.zoo.cards import CARDS
from nlviz.zoo.source import (
    Bundled,
    ModelSource,
    Published,
    PythonFunction,
    Timm,
    WeightsFile,
)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("lite-nl", Bundled),
        ("i3d-nl-r50.k400-slowfast", Published),
        ("timm/vit_small_patch16_224.dino", Timm),
        ("some.package:build", PythonFunction),
    ],
)
def test_each_kind_of_name_is_a_value(name: str, kind: type[ModelSource]) -> None:
    source = ModelSource.parse(name)
    assert type(source) is kind
    assert source.name == name
    again = pickle.loads(pickle.dumps(source))
    assert again == source
    assert hash(again) == hash(source)
    assert (source.card is None) == (name not in CARDS)


def test_a_file_goes_before_a_function_and_a_card_before_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, kind in (
        ("weights:net", WeightsFile),
        ("lite-nl", Bundled),
        ("timm/net.pth", WeightsFile),
    ):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_bytes(b"")
        assert type(ModelSource.parse(name)) is kind
        assert type(ModelSource.parse(tmp_path / name)) is WeightsFile


def test_kinds_of_one_name_differ() -> None:
    assert Bundled("lite-nl") != Published("lite-nl")


@pytest.mark.parametrize("name", ["lite-ln", "", "nowhere/net.pth", "a:b:c", "1module:build"])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(UnknownModel, match="no model is called"):
        ModelSource.parse(name)


def test_a_file_that_has_gone_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.pth"
    path.write_bytes(b"")
    source = ModelSource.parse(path)
    path.unlink()
    with pytest.raises(UnknownModel, match=r"net\.pth"):
        source.load()


@pytest.mark.slow
def test_a_name_is_read_without_importing_its_module(tmp_path: Path) -> None:
    (tmp_path / "loud.py").write_text("raise SystemExit(7)")
    program = (
        "from nlviz.zoo.source import ModelSource; import sys; "
        "ModelSource.parse('loud:build'); sys.exit('loud' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True)
    assert done.returncode == 0, done.stderr
