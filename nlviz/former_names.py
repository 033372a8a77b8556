"""Modules of version 0.3 under the names they had then, for code that imports them."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

NOW = {
    "nlviz.attention_map": "nlviz.affinity.attention_map",
    "nlviz.block": "nlviz.networks.block",
    "nlviz.capture_file": "nlviz.captures.file_format",
    "nlviz.captured": "nlviz.captures.capture",
    "nlviz.clip": "nlviz.clips.clip",
    "nlviz.decoding": "nlviz.clips.video_files",
    "nlviz.detections": "nlviz.clips.detections",
    "nlviz.geometry": "nlviz.affinity.grid",
    "nlviz.model": "nlviz.captures.model",
    "nlviz.pairwise": "nlviz.affinity.pairwise",
    "nlviz.patches": "nlviz.affinity.patches",
    "nlviz.protocol": "nlviz.captures.thirty_views",
    "nlviz.support": "nlviz.affinity.support",
}


class _Finder(MetaPathFinder, Loader):
    """Finds a module by its former name: the very module, with a warning."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return ModuleSpec(fullname, self) if fullname in NOW else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        now = NOW[spec.name]
        warnings.warn(
            f"{spec.name} is called {now} since version 0.4; the former name goes with 0.5",
            DeprecationWarning,
            stacklevel=2,
        )
        module = import_module(now)
        self._spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._spec  # it was executed under its own name


def install() -> None:
    """Let the former names be imported.

    >>> import warnings
    >>> with warnings.catch_warnings(action="ignore"):
    ...     import nlviz.protocol
    >>> nlviz.protocol.__name__
    'nlviz.captures.thirty_views'
    """
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.append(_Finder())
