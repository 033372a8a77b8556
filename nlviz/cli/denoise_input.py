"""Pictures, clips and arrays that `nlviz denoise` reads, and how they are found again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlviz.progress import Progress

if TYPE_CHECKING:
    from nlviz.denoise.image import Image


def read(
    picture: str | Path,
    tell: Progress,
    *,
    grey: bool,
    size: int | None,
    frames: int,
    start: float,
    stride: int,
) -> tuple[Image, dict[str, Any]]:
    """Read a picture, a clip or an array.

    Returns the pixels, and what a comparison file says to find them again.

    Raises:
        UnreadableClip: when the file cannot be read.
        NlvizError: when a clip is asked for in grey.
    """
    import numpy as np

    from nlviz.clips.inputs import find_input
    from nlviz.errors import NlvizError, UnreadableClip
    from nlviz.files.local import digest_of

    if grey and frames > 1:
        raise NlvizError("clips are denoised in colour; leave --grey out, or --frames")

    path = find_input(str(picture))
    tell(f"Reading {path.name}", 0.0)
    source: dict[str, Any] = {"name": path.name}
    if path.suffix.lower() == ".npy":
        try:
            image: Image = np.load(path, allow_pickle=False)
        except (OSError, ValueError) as error:
            raise UnreadableClip(f"{path.name} is no array of numbers ({error})") from None
        return image, {**source, "digest": digest_of(path)}
    from nlviz.clips.clip import read_clip
    from nlviz.denoise.image import picture_of

    clip = read_clip(
        path, start=start, stride=stride, frames=frames, size=size, progress=tell.part(0.0, 0.1)
    )
    sampling: dict[str, Any] = {
        "grey": grey,
        "size": size,
        "frames": frames,
        "start": start,
        "stride": stride,
    }
    source |= {"digest": clip.digest, "reader": clip.reader, **sampling}
    if clip.notes:
        source["notes"] = list(clip.notes)
    if len(clip.frames) > 1:
        return np.ascontiguousarray(clip.frames), source
    return picture_of(np.asarray(clip.frames[0]), grey=grey), source


def sampling_of(source: Mapping[str, Any]) -> dict[str, Any]:
    """Return the sampling that a saved comparison's source describes, as ``read`` takes it."""
    return {
        "grey": bool(source.get("grey", False)),
        "size": source.get("size"),
        "frames": source.get("frames") or 1,
        "start": source.get("start") or 0.0,
        "stride": source.get("stride") or 1,
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
