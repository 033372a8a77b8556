"""How far a prediction of one clip goes, in words."""

from __future__ import annotations

from nlviz.captures.model import Model
from nlviz.captures.thirty_views import ONE_CLIP, sees_video


def one_clip_note(model: Model) -> str:
    """Return what to add to a prediction of one clip, or an empty string.

    Networks that classify videos are published with the mean over 30 views of a video.

    >>> import nlviz
    >>> one_clip_note(nlviz.load_model("lite-nl"))
    ''
    """
    return ONE_CLIP if sees_video(model) else ""
