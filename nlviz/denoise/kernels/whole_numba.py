"""Imports numba whole, also while another thread imports parts of PyTorch.

``torch._dynamo`` takes ``_operator`` out of ``sys.modules`` for a moment, to get a copy of
``operator`` in Python. An import of numba that looks for it in that moment fails, and leaves half
of its modules behind, with which no later import can work.
"""

from __future__ import annotations

import sys
import time
from importlib import import_module

PATIENCE = 30.0  # seconds; the moment is far shorter, on a busy machine as well


def import_numba() -> None:
    """Import numba; once more from the start, as long as a module that it needs is taken away.

    Raises:
        KeyError: when that lasts for half a minute.
    """
    end = time.monotonic() + PATIENCE
    while True:
        try:
            import_module("numba")
            return
        except KeyError:
            if time.monotonic() > end:
                raise
            for name in [name for name in sys.modules if name.partition(".")[0] == "numba"]:
                del sys.modules[name]
            time.sleep(0.05)


import_numba()

import numba as numba  # noqa: E402
from numba.extending import intrinsic as intrinsic  # noqa: E402
from numba.extending import overload as overload  # noqa: E402
