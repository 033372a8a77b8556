"""Imports go downwards only, also those inside functions and those by a module's name.

import-linter keeps the contract of pyproject.toml, which names rooms, not modules: ``make lint``.
What it cannot see is held here: the rooms are read off the folders, names in strings are followed.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest

from nlviz.former_names import NOW
from tests.imports import Import, imports, modules

ROOT = Path(__file__).parent.parent
FILES = modules(ROOT, "nlviz", "app")

STARTS_THE_APP = ("nlviz.cli.app_entry", "app")
READS_A_USERS_MODULE = "nlviz.zoo.python_models"
FORMER_NAMES = "nlviz.former_names"  # its table of names is tested by itself
SHARED_BY_FAMILIES = {"reading", "family"}
STREAMLIT = ("app", "nlviz.cli.app_asgi", "nlviz.cli.app_server")


@cache
def found_imports() -> list[Import]:
    """Return all imports of these packages: they take seconds to read."""
    return imports(FILES)


def contract() -> list[list[str]]:
    """Return the layers, top first, each with its rooms."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    (layers,) = (
        c["layers"] for c in settings["tool"]["importlinter"]["contracts"] if c["type"] == "layers"
    )
    return [[room.strip() for room in layer.split("|")] for layer in layers]


def floors() -> list[list[str]]:
    """Return the layers with the public names, which stand below what people start."""
    top, *others = contract()
    return [top, ["nlviz"], *others]


def within(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def upward(found: list[Import], layers: list[list[str]]) -> list[Import]:
    """Return the imports of a room that lies no lower than the one that imports."""
    floor = {room: height for height, layer in enumerate(layers) for room in layer}

    def room(module: str | None) -> str | None:
        return max((n for n in floor if module and within(module, n)), key=len, default=None)

    pairs = [(one, room(one.module), room(one.target)) for one in found]
    return [
        one for one, own, target in pairs
        if own and target and own != target and floor[own] >= floor[target]
    ]  # fmt: skip


def strangers(files: list[str], found: list[Import], package: str) -> list[Import]:
    """Return the imports of one family by another: ``a`` and ``a_config`` are one."""
    names = {file[len(package) + 1 :].split(".")[0] for file in files if within(file, package)}
    names -= {"", *SHARED_BY_FAMILIES}

    def family(module: str | None) -> str | None:
        if module is None or not module.startswith(f"{package}."):
            return None
        name = module[len(package) + 1 :].split(".")[0]
        roots = [n for n in names if name == n or name.startswith(f"{n}_")]
        return min(roots, key=len, default=None)

    pairs = [(one, family(one.module), family(one.target)) for one in found]
    return [one for one, own, other in pairs if own and other and own != other]


def test_no_import_goes_upwards() -> None:
    wrong = [one for one in upward(found_imports(), floors()) if one.module != STARTS_THE_APP[0]]
    assert not wrong


def test_the_entry_starts_the_app_and_nothing_else() -> None:
    wrong = [one for one in upward(found_imports(), floors()) if one.module == STARTS_THE_APP[0]]
    assert {one.target for one in wrong} == {STARTS_THE_APP[1]}


def test_imports_by_name_can_be_followed() -> None:
    """What a string names can be read in the file, but for the module that a user names."""
    unread = {one.module for one in found_imports() if one.target is None}
    assert unread <= {READS_A_USERS_MODULE, FORMER_NAMES}
    (floor,) = (n for n, rooms in enumerate(floors()) if FORMER_NAMES in rooms)
    below = [room for rooms in floors()[floor + 1 :] for room in rooms]
    assert all(any(within(now, room) for room in below) for now in NOW.values())


def test_each_room_is_in_one_layer_and_permits_no_circle() -> None:
    rooms = {".".join(module.split(".")[:2]) for module in FILES if module.startswith("nlviz.")}
    named = [room for layer in contract() for room in layer]
    assert sorted(named) == sorted({*rooms, "app"} - {"nlviz.__main__"})
    assert not any(":" in room for room in named)


def test_families_do_not_know_each_other() -> None:
    assert not strangers(list(FILES), found_imports(), "nlviz.families")


def test_only_the_app_and_its_server_import_streamlit() -> None:
    importers = {i.module for i in found_imports() if i.target and within(i.target, "streamlit")}
    assert importers
    assert not [m for m in importers if not any(within(m, place) for place in STREAMLIT)]


# ---- and each of these would notice ------------------------------------------------------------

TOY = [["pack.high"], ["pack.left", "pack.right"], ["pack.low"]]


def toy(folder: Path, module: str, code: str) -> list[Import]:
    """Return the imports of a small project, one of whose files says this."""
    for name in ("high", "left", "right", "low"):
        (folder / "pack" / name).mkdir(parents=True)
        (folder / "pack" / name / "__init__.py").write_text("", "utf-8")
    (folder / "pack" / "__init__.py").write_text("", "utf-8")
    path = folder.joinpath(*module.split(".")).with_suffix(".py")
    path.write_text(code, "utf-8")
    return imports(modules(folder, "pack"))


@pytest.mark.parametrize(
    "code",
    [
        "import pack.high\n",
        "from pack import high\n",
        "from .. import high\n",
        "from ..high import x\n",
        "def f():\n    from pack.high import x\n",
        "import importlib\nm = importlib.import_module('pack.high')\n",
        "from importlib import import_module\nm = import_module(f'pack.high.{name}')\n",
        "m = __import__('pack.high.inner', fromlist=['x'])\n",
    ],
)
def test_an_upward_import_is_found(tmp_path: Path, code: str) -> None:
    (wrong,) = upward(toy(tmp_path, "pack.low.part", code), TOY)
    assert wrong.module == "pack.low.part"


def test_an_import_of_a_neighbour_on_the_same_floor_is_found(tmp_path: Path) -> None:
    assert upward(toy(tmp_path, "pack.left.part", "import pack.right\n"), TOY)


def test_downward_imports_are_fine(tmp_path: Path) -> None:
    found = toy(tmp_path, "pack.high.part", "import pack.low\nfrom . import other\nimport os\n")
    assert len(found) == 3
    assert not upward(found, TOY)


def test_a_name_that_cannot_be_followed_is_found(tmp_path: Path) -> None:
    (one,) = toy(tmp_path, "pack.low.part", "m = __import__(name)\n")
    assert one.target is None


def test_a_family_that_imports_another_is_found(tmp_path: Path) -> None:
    code = "from pack.high.one_config import x\nfrom pack.high.reading import y\n"
    files = ["pack.high", "pack.high.one", "pack.high.one_config", "pack.high.two"]
    other = toy(tmp_path / "a", "pack.high.two", code)
    assert [i.target for i in strangers(files, other, "pack.high")] == ["pack.high.one_config"]
    assert not strangers(files, toy(tmp_path / "b", "pack.high.one", code), "pack.high")


@pytest.mark.parametrize("break_it", ["import upwards", "missing layer"])
def test_the_linter_would_notice(tmp_path: Path, break_it: str) -> None:
    """A small project with the same contract: an upward import or a missing layer fails."""
    package = tmp_path / "pack"
    package.mkdir()
    for name in ("__init__", "high", "low"):
        (package / f"{name}.py").write_text("", "utf-8")
    layers = ["pack.high", "pack.low"]
    if break_it == "missing layer":
        layers.append("pack.gone")
    else:
        (package / "low.py").write_text("import pack.high\n", "utf-8")
    (tmp_path / ".importlinter").write_text(
        "[importlinter]\nroot_package = pack\n[importlinter:contract:1]\nname = layers\n"
        "type = layers\nlayers =\n" + "".join(f"    {layer}\n" for layer in layers),
        "utf-8",
    )
    program = Path(sys.executable).parent / "lint-imports"
    done = subprocess.run(
        [program, "--no-cache"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert re.search("broken|Could not find|Missing layer", done.stdout + done.stderr)
    assert done.returncode != 0
