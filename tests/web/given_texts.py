"""Texts that Python puts into a payload, and that the browser says in the reader's language."""

from __future__ import annotations

from nlviz.affinity.split import SAME_RANKING
from nlviz.affinity.variants import SIMILARITY, VARIANTS
from nlviz.denoise.registry import DENOISERS
from nlviz.surveys.figures import FIGURES
from nlviz.surveys.report.labels import LABELS

FIXED = (
    "the class token", "tokens without a place", "all keys in all frames",
    "all keys of the picture", "all words", "all boxes", "all nodes",
    "all keys in all frames and the words", "all keys of the picture and the words",
    "the keys of its own frame alone", "global context",
    "trained to match points between frames, not to name things", "what is averaged",
    "Too large to compute in the browser", "A rollout goes through all layers", "time", "space",
    "Clean", "Noisy", "Non-local means, whole picture",
)  # fmt: skip
FAULTS = ("unreadable", "missing", "unreachable", "memory", "died", "disk", "refused")


def given() -> set[str]:
    """Return names and notes of sources, and what fixed parts of a header say."""
    named = {text for one in VARIANTS for text in (one.label, one.note) if text}
    denoisers = {one.label for one in DENOISERS.values() if one.label != "BM3D"}
    figures = {text for one in FIGURES.values() for text in (one.label, one.definition)}
    return {*named, *denoisers, *figures, *FAULTS, *LABELS, SIMILARITY, SAME_RANKING, *FIXED}
