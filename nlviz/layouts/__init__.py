"""Key layouts of published checkpoints; the first that recognises a file reads it."""

from __future__ import annotations

from nlviz.layouts.layout import Layout

LAYOUTS: tuple[Layout, ...] = ()
