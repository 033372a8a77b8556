"""Finds the app and the bundled files, in a checkout and in an installed wheel alike.

The wheel carries ``app/`` and ``assets/`` inside the package; a checkout has them beside it.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

from nlviz.errors import NlvizError

_HERE = Path(__file__).parent
_INSTALLED = (_HERE / "assets").is_dir()


def asset(name: str) -> Path:
    """Return the path of a bundled file.

    Raises:
        NlvizError: when there is no such file.

    >>> asset("README.md").is_file()
    True
    """
    root = (_HERE if _INSTALLED else _HERE.parent) / "assets"
    path = root / name
    if not path.exists():
        raise NlvizError(f"there is no bundled file {name!r} under {root.name}/")
    return path


def bundled_inputs() -> dict[str, Path]:
    """Return the bundled clips, then photos, by file name.

    >>> "coffee.jpg" in bundled_inputs()
    True
    """
    clips = sorted(asset("clips").glob("*.mp4"))
    photos = sorted(p for p in asset("photos").iterdir() if p.suffix in {".jpg", ".png", ".webp"})
    return {path.name: path for path in [*clips, *photos]}


def app_module(name: str) -> ModuleType:
    """Import a module of the app, wherever the app lies."""
    if _INSTALLED:
        return importlib.import_module(f"nlviz.app.{name}")
    try:
        return importlib.import_module(f"app.{name}")
    except ModuleNotFoundError as error:
        if error.name not in {"app", f"app.{name}"}:
            raise
        raise NlvizError(
            f"the app lies in {_HERE.parent / 'app'}, which Python does not search; install the "
            "checkout with `make install`"
        ) from None
