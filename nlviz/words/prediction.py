"""How far a prediction of one clip goes, in words."""

from __future__ import annotations

from collections.abc import Sequence

from nlviz.captures.model import Model
from nlviz.captures.thirty_views import ONE_CLIP, sees_video
from nlviz.words.numbers import percent_text

KNOWS = 0.2  # probability of the first answer below which a network does not know a clip


def unknown_text(found: Sequence[tuple[str, float]], what: str = "clip") -> str:
    """Return the sentence for a clip that a network does not know, or an empty string.

    Args:
        found: labels with their probabilities, the most probable first.
        what: what the input is called.

    >>> unknown_text([("plunger", 0.04), ("vizsla", 0.02)])
    'The network does not know this clip: no answer of it reaches 20 %, the first has 4 %.'
    >>> unknown_text([("tabby", 0.81)])
    ''
    """
    if not found or found[0][1] >= KNOWS:
        return ""
    first = percent_text(found[0][1], space=" ")
    least = percent_text(KNOWS, space=" ")
    return (
        f"The network does not know this {what}: no answer of it reaches {least}, the first has "
        f"{first}."
    )


def one_clip_note(model: Model) -> str:
    """Return what to add to a prediction of one clip, or an empty string.

    Networks that classify videos are published with the mean over 30 views of a video.

    >>> import nlviz
    >>> one_clip_note(nlviz.load_model("lite-nl"))
    ''
    """
    return ONE_CLIP if sees_video(model) else ""
