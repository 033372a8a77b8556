"""Where the clip of a command or of a view lies."""

from __future__ import annotations

from pathlib import Path

from nlviz.errors import InvalidView, UnreadableClip, did_you_mean
from nlviz.render.views import View
from nlviz.resources import bundled_inputs


def find_input(name: str) -> Path:
    """Return the path of a clip that is given as a path or as a bundled name.

    Raises:
        UnreadableClip: when it is neither.

    >>> find_input("coffee.jpg").name
    'coffee.jpg'
    """
    if Path(name).exists():
        return Path(name)
    inputs = bundled_inputs()
    if name not in inputs:
        raise UnreadableClip(
            f"there is no file {name!r}, nor a bundled input of that name"
            f"{did_you_mean(name, inputs)}"
        )
    return inputs[name]


def find_clip(view: View, *, beside: Path, given: Path | None = None) -> Path:
    """Return the file of a view's clip, which has the digest that the view names.

    Args:
        view: the view.
        beside: folder of the view; looked into when the clip's name is not a bundled one.
        given: this file rather than one found by name.

    Raises:
        UnreadableClip: when no file is found.
        InvalidView: when the files found have another digest.
    """
    from nlviz.weights import digest_of  # not above: it costs the import of torch

    name, digest = view.clip.name, view.clip.digest
    if given is not None:
        places = [given]
    else:
        places = [p for p in (bundled_inputs().get(name), beside / name, Path(name)) if p]
    found = [p for p in places if p.is_file()]
    if not found:
        raise UnreadableClip(
            f"the view needs the clip {str(given or name)!r}, which is "
            + ("not there" if given else "neither bundled nor beside the view")
            + "; give its path with --clip"
        )
    for path in found:
        if not digest or digest_of(path) == digest:
            return path
    raise InvalidView(
        f"the view's clip has the sha256 {digest[:12]}..., {found[0].name} has "
        f"{digest_of(found[0])[:12]}...; give the original file with --clip, or empty the view's "
        "clip.digest to draw it on this one"
    )
