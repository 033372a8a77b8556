"""Libraries that only some uses need: missed in a sentence that says how to install them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from nlviz.errors import NlvizError


@contextmanager
def needs(package: str, *, extra: str, what: str) -> Iterator[None]:
    """Import inside it what nlviz itself does not need.

    Args:
        package: what pip calls it.
        extra: of nlviz, that brings it.
        what: what needs it, as the sentence begins.

    Raises:
        NlvizError: when it is not installed, or does not start; the sentence says how to install.

    >>> with needs("no-where", extra="where", what="A map"):
    ...     import nowhere
    Traceback (most recent call last):
    nlviz.errors.NlvizError: A map needs the package no-where; pip install "nlviz[where]"
    """
    cure = f'pip install "nlviz[{extra}]"'
    try:
        yield
    except ModuleNotFoundError:
        raise NlvizError(f"{what} needs the package {package}; {cure}") from None
    except ImportError as error:
        raise NlvizError(
            f"{what} needs {package}, which is installed and does not start ({error}); {cure}"
        ) from None
