"""Networks that a function of the user's own module builds: ``my_module:build``.

Importing a module runs it. So a name of this kind is only followed for a caller that allows it:
the command line, and the app for the names with which it was started; addresses, view files and
uploads never are.
"""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path

from torch import nn

from nlviz.captures.model import About, Model
from nlviz.errors import NlvizError, did_you_mean
from nlviz.families import adapter_for, adapter_of_any

_FUNCTION = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


def is_function(name: str) -> bool:
    """Return whether a name is a module and a function of it.

    >>> is_function("my_module:build"), is_function("lite-nl"), is_function("weights/net.pth")
    (True, False, False)
    """
    return _FUNCTION.fullmatch(name) is not None


def built_by(name: str, *, family: str | None = None, needs_blocks: bool = True) -> Model:
    """Import a module of the user's, call a function of it, and return the network it builds.

    Args:
        name: ``module:function``; the module is looked for in the current folder, too. The
            function takes nothing and returns an ``nn.Module`` or a ``Model``.
        family: read the blocks of an ``nn.Module`` as this family's, rather than the first's that
            finds some.
        needs_blocks: refuse a network in which no family finds an affinity.

    Raises:
        NlvizError: when there is no such module or function, it raises, or it returns something
            else.
        NoNonLocalBlocks: when no family finds an affinity in the network.
    """
    if not is_function(name):
        raise NlvizError(f"a network of your own is named MODULE:FUNCTION, got {name!r}")
    module_name, function = name.split(":")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name != module_name.split(".")[0] and error.name != module_name:
            raise _failed(name, "could not be imported", error) from error
        raise NlvizError(
            f"there is no module {module_name!r}; start in the folder that holds {module_name}.py"
        ) from None
    except Exception as error:  # a module of the user's may raise anything
        raise _failed(name, "could not be imported", error) from error
    if not callable(build := getattr(module, function, None)):
        known = [n for n, v in vars(module).items() if callable(v) and not n.startswith("_")]
        raise NlvizError(
            f"{module_name} has no function {function!r}{did_you_mean(function, known)}"
        )
    try:
        built = build()
    except Exception as error:
        raise _failed(name, "raised", error) from error
    if isinstance(built, Model):
        if family is not None:
            raise NlvizError(
                f"{name} returns a Model, which has a family already; leave out family={family!r}"
            )
        return built
    if not isinstance(built, nn.Module):
        raise NlvizError(
            f"{name} must return an nn.Module or a nlviz.Model, it returned {type(built).__name__}"
        )
    return Model(
        built.eval(),
        adapter=adapter_for(built, family=family)
        if needs_blocks or family
        else adapter_of_any(built),
        about=About(name, "your own network"),
    )


def _failed(name: str, what: str, error: Exception) -> NlvizError:
    return NlvizError(f"{name} {what}: {type(error).__name__}: {error}")
