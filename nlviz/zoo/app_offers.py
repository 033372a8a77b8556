"""What the app may open beyond the catalogue: functions of the user's and saved captures.

Both are offered by the command line when the app is started. The app finds captures by their
files' names; no address can name another file, or another module.
"""

from __future__ import annotations

from pathlib import Path

from nlviz.errors import NlvizError

_functions: list[str] = []
_captures: dict[str, Path] = {}


def offer_function(name: str) -> None:
    """Let the app run ``MODULE:FUNCTION``, which builds a network.

    Raises:
        NlvizError: when the name is no module and function.
    """
    from nlviz.zoo.python_models import is_function

    if not is_function(name):
        raise NlvizError(
            f"a network of your own is named MODULE:FUNCTION, got {name!r}; a file of weights is "
            "opened on the page"
        )
    if name not in _functions:
        _functions.append(name)


def offer_capture(path: str | Path) -> str:
    """Let the app open a saved capture; return the name that it goes by.

    Raises:
        UnreadableCheckpoint: when it cannot be read.
    """
    from nlviz.captures.capture import read_capture  # imports PyTorch

    path = Path(path).resolve()
    read_capture(path)  # what is wrong with it is said here, not on a page
    _captures[path.name] = path
    return path.name


def functions() -> tuple[str, ...]:
    """Return the functions that the app may run.

    >>> functions()
    ()
    """
    return tuple(_functions)


def captures() -> dict[str, Path]:
    """Return the saved captures that the app may open, by name.

    >>> captures()
    {}
    """
    return dict(_captures)
