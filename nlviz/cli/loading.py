"""What several commands load: a model by its name or file, and a clip sampled for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import typer

from nlviz.progress import Progress

if TYPE_CHECKING:
    from pathlib import Path

    from nlviz.captures.model import Model
    from nlviz.clips.clip import Clip
    from nlviz.clips.text import Text

OF_CLIPS, OF_TEXTS = "lite-nl", "muse.reverse"  # the models of a command that names none


def given_text(text: str | None, file: Path | None, *, clip: str | None) -> Text | None:
    """Return the text of ``--text`` or ``--text-file``; None where there is neither.

    Raises:
        NlvizError: when there are both, or the file is no text.
        BadParameter: when there is neither a text nor a clip.
    """
    from nlviz.clips.text import read_text
    from nlviz.errors import NlvizError

    if text is not None and file is not None:
        raise NlvizError("a text comes from --text or from --text-file; leave one of the two out")
    given = text if file is None else file
    if given is None:
        if clip is None:
            raise typer.BadParameter("give a clip, a text with --text, or both")
        return None
    return read_text(given)


def options(family: str | None, flags: Sequence[str] | None) -> dict[str, Any]:
    """Return what ``--family`` and ``--set`` say, as keyword arguments of ``load_model``.

    Raises:
        NlvizError: when a flag is not NAME=VALUE, or is an option of its own.
    """
    from nlviz.errors import NlvizError
    from nlviz.families.reading.flags import parsed_flags

    parsed = parsed_flags(flags or ())
    if "family" in parsed:
        raise NlvizError(f"the family is no flag; say --family {parsed['family']}")
    return {"family": family, **parsed}


def loaded(
    name: str,
    tell: Progress,
    *,
    device: str,
    family: str | None,
    flags: Sequence[str] | None,
    autocast: str | None = None,
    needs_blocks: bool = True,
) -> Model:
    """Load a model by a name from the command line, whose MODULE:FUNCTION may run code."""
    from nlviz.zoo.load import load_model

    tell("Loading the model", 0.0)
    return load_model(
        name,
        device=device,
        autocast=autocast,
        progress=tell,
        allow_code=True,
        needs_blocks=needs_blocks,
        **options(family, flags),
    )


def sampled_for(
    model: Model,
    clip: str,
    tell: Progress,
    *,
    start: float,
    stride: int | None,
    frames: int | None,
    size: int | None,
    fps: float | None,
    rate: float | None,
) -> Clip:
    """Read a clip by its path or bundled name; what the options leave open is as in training."""
    from nlviz.clips.inputs import find_input, read_input
    from nlviz.families.reading.adapter import InputSpec

    spec = model.input_spec or InputSpec()
    frames, stride = spec.completed(frames=frames, stride=stride, rate=rate)
    return read_input(
        find_input(clip),
        start=start,
        stride=stride,
        frames=frames,
        size=size,
        fps=fps,
        rate=rate,
        progress=tell,
    )


def clip_for(model: Model, clip: str, tell: Progress, *, rate: float | None = None) -> Clip:
    """Read a clip by its path or bundled name, sampled as the model was trained."""
    from nlviz.clips.inputs import find_input, read_input
    from nlviz.families.reading.adapter import InputSpec

    sampling = (model.input_spec or InputSpec()).sampling()
    return read_input(
        find_input(clip), frames=sampling.frames, stride=sampling.stride, rate=rate, progress=tell
    )
