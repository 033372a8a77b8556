"""The script that Streamlit runs: it starts the app's page from a checkout or a wheel alike.

The wheel carries ``app/`` inside the package; a checkout has it next to the package.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

from nlviz.errors import NlvizError

_PACKAGE = Path(__file__).parents[1]


def app_module(name: str) -> ModuleType:
    """Import a module of the app, wherever the app lies."""
    if (_PACKAGE / "app").is_dir():
        return importlib.import_module(f"nlviz.app.{name}")
    try:
        return importlib.import_module(f"app.{name}")
    except ModuleNotFoundError as error:
        if error.name not in {"app", f"app.{name}"}:
            raise
        raise NlvizError(
            f"the app lies in {_PACKAGE.parent / 'app'}, which Python does not search; install the "
            "checkout with `make install`"
        ) from None


if __name__ == "__main__":
    app_module("main").run()
