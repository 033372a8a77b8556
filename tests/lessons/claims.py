"""Which test recomputes what a screen of a lesson claims."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

Test = TypeVar("Test", bound=Callable[..., Any])

tested: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
"""Names of tests by lesson, by screen."""


def claim(*screens: str) -> Callable[[Test], Test]:
    """Mark a test of ``tests/lessons/test_NAME.py`` as one that recomputes what screens claim.

    A lesson's tests may lie in several files, ``test_NAME_PART.py``, that the first one imports.
    """

    def mark(test: Test) -> Test:
        lesson = Path(test.__code__.co_filename).stem.removeprefix("test_").partition("_")[0]
        for screen in screens:
            tested[lesson][screen].append(test.__name__)
        return test

    return mark
