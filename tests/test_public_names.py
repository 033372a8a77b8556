"""The public names: complete, documented, imported when first used."""

from __future__ import annotations

import ast
import inspect
import pickle
import pkgutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import pytest

import nlviz
from nlviz import errors


def test_importing_nlviz_imports_nothing_heavy() -> None:
    code = (
        "import sys, nlviz, nlviz.errors; nlviz.NlvizError; "
        "print([m for m in ('torch', 'streamlit', 'timm', 'numpy', 'cv2', 'av', 'plotly') "
        "if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


@pytest.mark.slow
def test_the_library_never_imports_streamlit() -> None:
    code = (
        "import sys, nlviz; [getattr(nlviz, n) for n in nlviz.__all__]; "
        "rooms = [nlviz.denoise, nlviz.render, nlviz.web, nlviz.words, nlviz.zoo]; "
        "[getattr(r, n) for r in rooms for n in r.__all__]; "
        "print('streamlit' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "False"


PACKAGES = ["nlviz", *(f"nlviz.{n}" for n in ("denoise", "render", "web", "words", "zoo"))]
PUBLIC = [(package, name) for package in PACKAGES for name in import_module(package).__all__]


@pytest.mark.parametrize("package", PACKAGES)
def test_names_are_sorted_and_there(package: str) -> None:
    module = import_module(package)
    assert module.__all__ == sorted(set(module.__all__))
    assert set(module.__all__) <= set(dir(module))
    assert "__file__" in dir(module)


@pytest.mark.parametrize("package", PACKAGES)
def test_no_public_name_is_hidden_by_a_module(package: str) -> None:
    module = import_module(package)
    modules = {m.name for m in pkgutil.iter_modules(module.__path__)}
    for name in modules & set(module.__all__):
        assert isinstance(getattr(module, name), ModuleType), name


@pytest.mark.parametrize(("package", "name"), PUBLIC)
def test_public_names_are_documented(package: str, name: str) -> None:
    value = getattr(import_module(package), name)
    if isinstance(value, type | FunctionType | ModuleType):
        doc = inspect.getdoc(value) or ""
        assert doc.partition("\n")[0].endswith((".", ":"))


@pytest.mark.parametrize("package", PACKAGES)
def test_unknown_names_are_attribute_errors(package: str) -> None:
    with pytest.raises(AttributeError, match=f"'{package}' has no attribute 'heatmap'") as found:
        import_module(package).heatmap  # noqa: B018
    assert found.value.name == "heatmap"
    assert found.value.obj is sys.modules[package]


@pytest.mark.parametrize(
    "value", [nlviz.Clip, nlviz.View, nlviz.TokenGrid, nlviz.read_clip, nlviz.capture]
)
def test_tools_find_the_source_of_a_public_name(value: Any) -> None:
    """Source and pickles hold although the name is reached through the package."""
    assert value.__name__ in inspect.getsource(value)
    assert pickle.loads(pickle.dumps(value)) is value


def test_a_stub_names_each_public_name_once() -> None:
    for package in PACKAGES:
        stub = Path(str(import_module(package).__file__)).with_suffix(".pyi")
        imports = [n for n in ast.parse(stub.read_text("utf-8")).body if hasattr(n, "names")]
        names = [alias.asname for node in imports for alias in node.names]
        assert sorted(map(str, names)) == import_module(package).__all__


@pytest.mark.slow
def test_every_error_is_an_nlviz_error_and_in_the_tree() -> None:
    found = [
        value
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, Exception)
    ]
    assert errors.NlvizError in found
    for error in found:
        assert issubclass(error, errors.NlvizError)
        assert error.__name__ in (errors.__doc__ or "")
        assert str(error("as it is")) == "as it is"
