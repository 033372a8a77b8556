"""Networks that a function of the user's own module builds: ``my_module:build``.

Importing a module runs it, so a name of this kind is taken from the command line alone; the app
knows those that were offered when it was started, and no address can name another.
"""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path

from torch import nn

from nlviz.captures.model import About, Model
from nlviz.errors import NlvizError, did_you_mean
from nlviz.zoo.devices import pick_device

_PLACE = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
_offered: list[str] = []


def is_own(name: str) -> bool:
    """Return whether a name is a module and a function of it.

    >>> is_own("my_module:build"), is_own("lite-nl"), is_own("weights/net.pth")
    (True, False, False)
    """
    return _PLACE.fullmatch(name) is not None


def own_model(place: str, *, device: str | None = None) -> Model:
    """Return the network that a function builds.

    Args:
        place: ``module:function``; the module is looked for in the current folder, too. The
            function takes nothing and returns an ``nn.Module`` or a ``Model``.
        device: as in ``load_model``.

    Raises:
        NlvizError: when there is no such module or function, it raises, or it returns something
            else.
        NoNonLocalBlocks: when no family finds an affinity in the network.
    """
    if not is_own(place):
        raise NlvizError(f"a network of your own is named MODULE:FUNCTION, got {place!r}")
    module_name, function = place.split(":")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name != module_name.split(".")[0] and error.name != module_name:
            raise _failed(place, "could not be imported", error) from error
        raise NlvizError(
            f"there is no module {module_name!r}; start in the folder that holds {module_name}.py"
        ) from None
    except Exception as error:  # a module of the user's may raise anything
        raise _failed(place, "could not be imported", error) from error
    if not callable(build := getattr(module, function, None)):
        known = [n for n, v in vars(module).items() if callable(v) and not n.startswith("_")]
        raise NlvizError(
            f"{module_name} has no function {function!r}{did_you_mean(function, known)}"
        )
    try:
        built = build()
    except Exception as error:
        raise _failed(place, "raised", error) from error
    to = pick_device(device)
    if isinstance(built, Model):
        built.net.to(to)
        return built
    if not isinstance(built, nn.Module):
        raise NlvizError(
            f"{place} must return an nn.Module or a nlviz.Model, it returned {type(built).__name__}"
        )
    return Model(built.eval().to(to), about=About(place, "your own network"))


def offer(place: str) -> None:
    """Let the app open a network of the user's.

    Raises:
        NlvizError: when the name is no module and function.
    """
    if not is_own(place):
        raise NlvizError(
            f"a network of your own is named MODULE:FUNCTION, got {place!r}; a file of weights is "
            "opened on the page"
        )
    if place not in _offered:
        _offered.append(place)


def offered() -> tuple[str, ...]:
    """Return the names that the app may open.

    >>> offered()
    ()
    """
    return tuple(_offered)


def _failed(place: str, what: str, error: Exception) -> NlvizError:
    return NlvizError(f"{place} {what}: {type(error).__name__}: {error}")
