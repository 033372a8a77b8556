"""Finds the bundled files, in a checkout and in an installed wheel alike.

The wheel carries ``assets/`` inside the package; a checkout has it beside it.
"""

from __future__ import annotations

from pathlib import Path

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
    clips = sorted(p for p in asset("clips").iterdir() if p.suffix in {".mp4", ".gif"})
    photos = sorted(p for p in asset("photos").iterdir() if p.suffix in {".jpg", ".png", ".webp"})
    return {path.name: path for path in [*clips, *photos]}


def bundled_graphs() -> dict[str, Path]:
    """Return the bundled graphs, inputs of networks that take such, by file name.

    >>> "lookup.json" in bundled_graphs()
    True
    """
    return {path.name: path for path in sorted(asset("graphs").glob("*.json"))}
