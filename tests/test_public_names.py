"""The public names: complete, documented, imported when first used."""

from __future__ import annotations

import inspect
import pkgutil
import subprocess
import sys

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


def test_the_library_never_imports_streamlit() -> None:
    code = (
        "import sys, nlviz; [getattr(nlviz, n) for n in nlviz.__all__]; "
        "print('streamlit' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "False"


def test_names_are_sorted_and_there() -> None:
    assert list(nlviz.__all__) == sorted(nlviz.__all__)
    assert set(nlviz.__all__) <= set(dir(nlviz))
    for name in nlviz.__all__:
        assert getattr(nlviz, name) is not None


def test_no_public_name_equals_a_module() -> None:
    modules = {m.name for m in pkgutil.iter_modules(nlviz.__path__)}
    assert not modules & set(nlviz.__all__)


@pytest.mark.parametrize("name", nlviz.__all__)
def test_public_names_are_documented(name: str) -> None:
    doc = inspect.getdoc(getattr(nlviz, name)) or ""
    assert doc.partition("\n")[0].endswith((".", ":"))


def test_unknown_names_are_attribute_errors() -> None:
    with pytest.raises(AttributeError, match="no attribute 'heatmap'"):
        nlviz.heatmap  # noqa: B018


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
