"""Pictures, clips and arrays that `nlviz denoise` reads, and how they are found again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlviz.progress import Progress

if TYPE_CHECKING:
    from nlviz.denoise.image import Image
    from nlviz.denoise.picture_values import PictureValues


@dataclass(frozen=True, eq=False)
class Input:
    """What was read.

    Attributes:
        image: the pixels that are denoised.
        source: what a comparison file says to find them again.
        kept: the picture's values with what goes back into a file, its alpha for instance.
        mask: True where a pixel does not count, as it is fully transparent, or None.
        range: black and white where the file says them, or None.
        axes: letters of the axes of ``image``, or None where they speak for themselves.
        notes: sentences that a user must know.
    """

    image: Image
    source: dict[str, Any]
    kept: PictureValues
    mask: Any = None
    range: tuple[float, float] | None = None
    axes: str | None = None
    notes: tuple[str, ...] = ()


def read(
    picture: str | Path,
    tell: Progress,
    *,
    grey: bool,
    size: int | None,
    frames: int,
    start: float,
    stride: int,
    axes: str | None = None,
    own: bool = True,
) -> Input:
    """Read a picture, a clip or an array.

    Args:
        picture: path or bundled name.
        tell: called with what is read.
        grey: whether the luminance is taken.
        size: shorter side in pixels, or None.
        frames: how many frames of a film, or pages of a stack.
        start: seconds of a film to skip.
        stride: every how many of them.
        axes: letters of an array's or a stack's axes, or None.
        own: whether a picture's own values are read rather than the 8 bits that a screen shows, as
            comparisons before 0.4 have it.

    Raises:
        UnreadableClip: when the file cannot be read.
        NlvizError: when a clip is asked for in grey.
    """
    from nlviz.clips.inputs import find_input
    from nlviz.errors import NlvizError

    if grey and frames > 1:
        raise NlvizError("clips are denoised in colour; leave --grey out, or --frames")

    path = find_input(str(picture))
    tell(f"Reading {path.name}", 0.0)
    source: dict[str, Any] = {"name": path.name}
    if path.suffix.lower() == ".npy":
        return _without_gaps(replace(_array(path, source), axes=axes))
    sampling: dict[str, Any] = {
        "grey": grey,
        "size": size,
        "frames": frames,
        "start": start,
        "stride": stride,
    }
    if own:
        found = _own_values(path, sampling, axes)
        if found is not None:
            whole = {**source, **found.source, **sampling, "values": "own"}
            return _without_gaps(replace(found, source=whole))
    elif axes is not None:
        raise NlvizError("axes are those of an array or a stack; leave --axes out")
    return _film(path, source, sampling, tell)


def _array(path: Path, source: dict[str, Any]) -> Input:
    import numpy as np

    from nlviz.denoise.picture_values import PictureValues
    from nlviz.errors import UnreadableClip
    from nlviz.files.local import digest_of

    try:
        image: Image = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UnreadableClip(f"{path.name} is no array of numbers ({error})") from None
    return Input(image, {**source, "digest": digest_of(path)}, PictureValues(image))


def _own_values(path: Path, sampling: Mapping[str, Any], axes: str | None) -> Input | None:
    """Return a still picture's, or a stack's, own values; None for films."""
    from nlviz.clips.inputs import digest_of_input
    from nlviz.denoise.picture_values import read_values
    from nlviz.errors import NlvizError

    if sampling["start"]:
        return None
    stack = bool(axes) and str(axes).upper()[:1] in ("T", "Z")
    pages = sampling["frames"] if sampling["frames"] > 1 or not stack else None
    found = read_values(path, pages=pages, stride=sampling["stride"])
    if found is None:
        if axes is not None:
            raise NlvizError(f"axes are those of an array or a stack, {path.name} is neither")
        return None
    if sampling["size"] is not None:
        if found.values.ndim > 3 or (stack and found.values.ndim > 2):
            raise NlvizError("stacks are denoised at their own size; leave --size out")
        found = found.resized(sampling["size"])
    found = found.grey() if sampling["grey"] else found  # of what is left, as the page has it
    mask, notes = found.mask, found.notes
    if mask is not None:
        notes += (
            f"{100 * mask.mean():.3g} % of the pixels are fully transparent: they are left out, and"
            " come back as they were",
        )
    source = {"digest": digest_of_input(path)}
    if axes is None and found.pages > 1:  # frames, as those of a film
        axes = "TYX" if found.values.ndim == 3 else "TYXC"
    return Input(found.values, source, found, mask, found.range, axes, notes)


def _without_gaps(found: Input) -> Input:
    """Return an input whose NaN and infinite values are masked."""
    import numpy as np

    from nlviz.denoise.axes import arranged

    if found.image.dtype.kind != "f" or np.isfinite(found.image).all():
        return found
    holes = arranged(~np.isfinite(found.image), found.axes)
    count = int(holes.values.sum())
    mask = holes.values.any(-1) if holes.coloured else holes.values
    if holes.coloured and holes.order != tuple(sorted(holes.order)):
        return found  # refused in a sentence, as channels that come first have no mask here
    if found.mask is not None:
        mask = mask | found.mask
    note = (
        f"{count} of the values are NaN or infinite: they are left out, and come back as they were"
    )
    return replace(found, mask=mask, notes=(*found.notes, note))


def _film(path: Path, source: dict[str, Any], sampling: Mapping[str, Any], tell: Progress) -> Input:
    import numpy as np

    from nlviz.clips.clip import read_clip
    from nlviz.denoise.image import picture_of
    from nlviz.denoise.picture_values import PictureValues

    part = {name: sampling[name] for name in ("start", "stride", "frames", "size")}
    clip = read_clip(path, **part, progress=tell.part(0.0, 0.1))
    source = {**source, "digest": clip.digest, "reader": clip.reader, **sampling}
    if len(clip.frames) > 1:
        image = np.ascontiguousarray(clip.frames)
    else:
        image = picture_of(np.asarray(clip.frames[0]), grey=sampling["grey"])
    notes = (*clip.notes, "frames of a film are taken in 8 bits")
    return Input(image, source, PictureValues(image), notes=notes)


def sampling_of(source: Mapping[str, Any]) -> dict[str, Any]:
    """Return the sampling that a saved comparison's source describes, as ``read`` takes it."""
    return {
        "grey": bool(source.get("grey", False)),
        "size": source.get("size"),
        "frames": source.get("frames") or 1,
        "start": source.get("start") or 0.0,
        "stride": source.get("stride") or 1,
        "own": source.get("values") == "own",
    }


def near(source: Mapping[str, Any], view: Path) -> str:
    """Return the picture of a saved comparison: in the comparison's folder, or bundled.

    Raises:
        InvalidView: when the comparison does not say where its picture came from.
    """
    from nlviz.errors import InvalidView
    from nlviz.resources import bundled_inputs

    name = source.get("name")
    if not name:
        raise InvalidView(
            f"the comparison {view.name} does not say where its picture came from; give the file "
            "with --original"
        )
    in_folder = view.parent / str(name)
    return str(in_folder if in_folder.is_file() and name not in bundled_inputs() else name)
