"""Modules of 0.3 under their former names."""

from __future__ import annotations

import sys
from importlib import import_module

import pytest

from nlviz.former_names import NOW


@pytest.mark.parametrize("name", NOW)
def test_a_former_name_is_the_module_itself(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    now = import_module(NOW[name])
    monkeypatch.delitem(sys.modules, name, raising=False)
    with pytest.warns(DeprecationWarning, match=f"{name} is called {NOW[name]}"):
        former = import_module(name)
    assert former is now
    assert now.__spec__ is not None and now.__spec__.name == NOW[name]
