"""The picture of the Denoise page: a bundled file, an upload, or the clip that Explore shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import streamlit as st

import nlviz

from ..explore import cached
from ..shared.slots import Key, Slot, filled
from .state import FRAMES, Source

LIMIT = 4_000_000  # pixels that this page takes on; the command takes any


@st.cache_resource(max_entries=4, show_spinner=False)
def _picture_slot(key: Key) -> Slot:
    return Slot()


@dataclass(frozen=True, eq=False)
class Picture:
    """Picture or clip to denoise.

    Attributes:
        name: shown to people.
        image: (H, W), (H, W, 3) or, of a clip, (T, H, W, 3) uint8.
        frames: how many frames its file gave to choose from.
        own_size: height and width in the file.
        source: how to find it again, for files; None for uploads.
        digest: of the pixels.
        notes: what must be known of them, a sentence each.
    """

    name: str
    image: nlviz.denoise.Image
    frames: int
    own_size: tuple[int, int]
    source: Mapping[str, Any] | None
    digest: str
    notes: tuple[str, ...] = ()

    @property
    def of_clip(self) -> bool:
        """Whether it is a clip."""
        return self.image.ndim == 4

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        height, width = self.image.shape[1:3] if self.of_clip else self.image.shape[:2]
        return height, width


def picture(source: Source, progress: nlviz.Progress) -> Picture:
    """Return the picture of a choice.

    Raises:
        NlvizError: when it cannot be read, or is too large for a page.
    """
    clip = _read(source, progress)
    own = clip.shape[1:]
    if source.size is not None and source.size < min(own):
        clip = clip.resized(source.size)
    height, width = clip.shape[1:]
    whole = source.whole and len(clip.frames) > 1
    if height * width * (len(clip.frames) if whole else 1) > LIMIT:
        raise nlviz.NlvizError(
            f"this page takes pictures of up to {LIMIT // 10**6} megapixels, {source.name} has "
            f"{height * width / 1e6:.1f} megapixels{' in each frame' if whole else ''}; choose a "
            f"smaller size, or run nlviz denoise {source.name}"
        )
    frame = min(source.frame, len(clip.frames) - 1)
    image = clip.frames if whole else nlviz.denoise.picture_of(clip.frames[frame], grey=source.grey)
    return Picture(
        source.name,
        image,
        len(clip.frames),
        (own[0], own[1]),
        _found_again(source, clip, frame, whole=whole, reduced=own != (height, width)),
        nlviz.denoise.digest_of_pixels(image),
        clip.notes,
    )


def _read(source: Source, progress: nlviz.Progress) -> nlviz.Clip:
    if source.explore is not None:
        return cached.capture_of(source.explore, progress).clip
    inputs = nlviz.bundled_inputs()
    if source.upload is None and source.name not in inputs:
        raise nlviz.NlvizError(
            f"no bundled input is called {source.name!r}"
            + nlviz.errors.did_you_mean(source.name, inputs)
        )
    path = inputs[source.name] if source.upload is None else source.upload.path()
    content = source.name if source.upload is None else source.upload.digest
    return filled(
        _picture_slot((content, source.name, source.start)),
        lambda: nlviz.read_clip(
            path,
            start=source.start,
            stride=1,
            frames=FRAMES,
            name=source.name,
            progress=progress,
        ),
    )


def _found_again(
    source: Source, clip: nlviz.Clip, frame: int, *, whole: bool, reduced: bool
) -> dict[str, Any] | None:
    if source.upload is not None or source.explore is not None:
        return None
    return {
        "name": source.name,
        "digest": clip.digest,
        "grey": source.grey and not whole,
        "size": source.size if reduced else None,
        "frames": len(clip.frames) if whole else 1,
        "start": source.start if whole else float(clip.times[frame]),
        "stride": 1,
    }
