"""Principal components of features as colours, beneath the frames that they are of.

nlviz.feature_colours(nlviz.features(net, clip, "blocks.7")).save("what-it-tells-apart.png")
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from nlviz.affinity.by_frame import key_planes
from nlviz.affinity.feature_map import FeatureMap
from nlviz.affinity.grid import Axis
from nlviz.analysis.principal_components import PrincipalComponents, principal_components
from nlviz.clips.clip import Clip
from nlviz.errors import NlvizError
from nlviz.files.local import suffix_of, write_whole
from nlviz.picture import resized, strip_html
from nlviz.render.film_strip import CAPTION, MOST_FRAMES, plan_of
from nlviz.render.movie import GROUND, footnotes
from nlviz.render.moving_pictures import gif_of, mp4_of
from nlviz.render.sheet import GREY, INK, MARGIN, Sheet
from nlviz.render.text_drawing import shortened, wrapped
from nlviz.sentences import fixed, listed, times_text

Picture = npt.NDArray[np.uint8]

KINDS = ("png", "pdf", "svg", "gif", "mp4")
BETWEEN = 6  # pixels between a frame and its colours
OUTSIDE = 236  # grey of what no cell covers


@dataclass(frozen=True, eq=False)
class FeatureColours:
    """The features of a layer as colours, beside the clip, which can be saved.

    Attributes:
        features: of the layer.
        components: their basis.
        clip: the clip.
        title: first line of a figure.
    """

    features: FeatureMap
    components: PrincipalComponents
    clip: Clip
    title: str

    @cached_property
    def frames(self) -> Picture:
        """Red, green and blue of every pixel's cell, (T, H, W, 3) uint8; grey without one."""
        colours, grid = self.components.colours(self.features), self.features.grid
        t, height, width = self.clip.shape
        out = np.full((t, height, width, 3), OUTSIDE, np.uint8)
        axes = [Axis(s, o) for s, o in zip(grid.stride[1:], grid.origin[1:], strict=True)]
        rows, columns = (
            axis.nearest(np.arange(n), count)
            for axis, n, count in zip(axes, (height, width), grid.shape[1:], strict=True)
        )
        for frame, plane in enumerate(key_planes(grid, t)):
            if plane >= 0:
                out[frame] = colours[plane][np.ix_(rows, columns)]
        out.flags.writeable = False
        return out

    @property
    def sentence(self) -> str:
        """What the colours are, and how much of the features they show."""
        basis = self.components
        shares = [f"{fixed(100 * float(share), 0)} %" for share in basis.shares[:3]]
        hues = ("red", "green", "blue")[: len(shares)]
        of = "the foreground" if basis.foreground is not None else "all cells of all frames"
        each = ", ".join(f"{hue} {share}" for hue, share in zip(hues, shares, strict=True))
        return (
            f"Colours: the first {len(shares)} principal components of {self.features.channels} "
            f"channels, one basis for {of}. They explain "
            f"{fixed(100 * float(basis.shares[:3].sum()), 0)} % of what varies ({each}); the rest "
            "is not seen. Equal colours are alike in these alone; a hue by itself means nothing."
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """All sentences beneath the figure."""
        told = (self.sentence, self.features.note, *self.clip.notes)
        return tuple(dict.fromkeys(each for each in told if each))

    def save(self, path: str | Path) -> Path:
        """Write .png, .pdf, .svg: each frame over its colours; .gif, .mp4: both as time runs.

        Raises:
            NlvizError: for another ending, or when the file cannot be written.
        """
        kind = suffix_of(path, KINDS, what="features as colours")
        return write_whole(path, self.to_bytes(kind))

    def to_bytes(self, kind: str, *, notes: bool = True) -> bytes:
        """Return the bytes of a file of this kind.

        Args:
            kind: ``png``, ``pdf``, ``svg``, ``gif`` or ``mp4``.
            notes: write the sentences beneath a figure; a page may say them itself.

        Raises:
            NlvizError: for another kind.
        """
        if kind == "png":
            return self._sheet(notes).png(key="nlviz.features", metadata=self.features.name)
        if kind in ("pdf", "svg"):
            return self._sheet(notes).vector("pdf" if kind == "pdf" else "svg", title=self.title)
        if kind not in KINDS:
            raise NlvizError(f"features as colours are saved as {listed(KINDS)}, got {kind!r}")
        pages = self._pages()
        comment = " ".join(self.notes)
        if kind == "mp4":
            return mp4_of(pages, self.clip, title=self.title, comment=comment)
        indexed = [Image.fromarray(page).quantize(256, Image.Quantize.MEDIANCUT) for page in pages]
        return gif_of(indexed, self.clip, comment=comment)

    def _pages(self) -> list[Picture]:
        """Return each frame beside its colours, as pictures of even sides."""
        _, height, width = self.clip.shape
        factor = min(max(480 / max(height, width), 1.0), 960 / max(height, width))
        h, w = (max(2 * round(n * factor / 2), 16) for n in (height, width))
        beside = width * 3 < height * 4  # tall or square ones lie side by side
        pages = []
        for frame, colours in zip(self.clip.frames, self.frames, strict=True):
            both = [resized(frame, (h, w)), enlarged(colours, (h, w))]
            gap = np.full((h, BETWEEN, 3) if beside else (BETWEEN, w, 3), GROUND, np.uint8)
            pages.append(np.concatenate([both[0], gap, both[1]], 1 if beside else 0))
        foot = footnotes([f"{self.title}. {self.sentence}"], pages[0].shape[1])
        return [np.concatenate([page, *foot]) for page in pages]

    def _sheet(self, notes: bool) -> Sheet:
        t, height, width = self.clip.shape
        shown = np.unique(np.linspace(0, t - 1, min(t, MOST_FRAMES)).round().astype(int)).tolist()
        top = MARGIN + 62
        plan = plan_of(len(shown), width / (2 * height), top=top, captions=t > 1)
        lines = wrapped(" ".join(self.notes), 21, plan.content) if notes else []
        foot = 31 * len(lines) + 14 if lines else 0
        sheet = Sheet(plan.content + 2 * MARGIN, plan.bottom + 26 + foot + MARGIN // 2)
        title = shortened(self.title, 34, plan.content, bold=True)
        sheet.text((MARGIN, MARGIN + 32), title, 34, INK, bold=True)
        labels = times_text([float(time) for time in self.clip.times])
        wide, high = plan.tile
        half = (high - BETWEEN) // 2
        for index, (left, upper) in zip(shown, plan.tiles, strict=True):
            middle = upper + half + BETWEEN
            size = (half, wide)
            sheet.picture(
                resized(self.clip.frames[index], size), (left, upper, left + wide, upper + half)
            )
            sheet.picture(
                enlarged(self.frames[index], size), (left, middle, left + wide, middle + half)
            )
            if t > 1:
                sheet.text((left, upper + high + CAPTION - 16), labels[index], 21, INK, bold=True)
        for number, line in enumerate(lines):
            sheet.text((MARGIN, plan.bottom + 48 + 31 * number), line, 21, GREY)
        return sheet

    def __repr__(self) -> str:
        return f"FeatureColours({self.components!r} of {self.features!r})"

    def _repr_html_(self) -> str:
        labels = times_text([float(time) for time in self.clip.times])
        return strip_html(
            list(self.frames), captions=list(labels), title=self.title, notes=list(self.notes)
        )


def feature_colours(
    features: FeatureMap, components: PrincipalComponents | None = None, *, clip: Clip | None = None
) -> FeatureColours:
    """Return features as colours beside their clip: three principal components of every cell.

    Args:
        features: of a layer.
        components: a basis, that of several clips for instance; of these features by default.
        clip: the clip, where the features do not know it.

    Raises:
        NlvizError: when there is no clip, or the basis has another number of channels.

    >>> from nlviz.affinity.grid import TokenGrid
    >>> import torch
    >>> clip = Clip.from_frames(np.zeros((2, 24, 40, 3), np.uint8))
    >>> values = torch.arange(120.0).reshape(4, 2, 3, 5) ** 2
    >>> grid = TokenGrid((2, 3, 5), (1, 8, 8), (0, 3.5, 3.5))
    >>> feature_colours(FeatureMap("layer", values, grid, clip=clip)).frames.shape
    (2, 24, 40, 3)
    """
    where = clip or features.clip
    if where is None:
        raise NlvizError("features are drawn beside their clip; say clip=")
    if components is None:
        n = min(3, features.channels, features.grid.size)
        components = principal_components(features, n)
    components.scores(features)  # another number of channels is told
    return FeatureColours(
        features, components, where, f"{where.name} · features of {features.name}"
    )


def npz(drawn: FeatureColours) -> bytes:
    """Return features and colours as NumPy arrays in one file.

    ``features`` (channels, t, h, w), ``apart`` (tokens, channels), ``colours`` (t, h, w, 3) uint8,
    ``directions`` (components, channels), ``shares`` of the variance that each explains,
    ``grid_stride`` and ``grid_origin`` (frames, pixels, pixels), ``times`` (T,) seconds.
    """
    found, basis = drawn.features, drawn.components
    buffer = BytesIO()
    apart = found.values.new_zeros(0, found.channels) if found.apart is None else found.apart
    np.savez_compressed(
        buffer,
        features=found.values.float().cpu().numpy(),
        apart=apart.float().cpu().numpy(),
        colours=basis.colours(found),
        directions=basis.directions.cpu().numpy(),
        shares=basis.shares.cpu().numpy(),
        grid_stride=np.array(found.grid.stride, np.float64),
        grid_origin=np.array(found.grid.origin, np.float64),
        times=drawn.clip.times,
    )
    return buffer.getvalue()


def enlarged(picture: Picture, size: tuple[int, int]) -> Picture:
    """Return a picture of cells at another size, (height, width), without a blur.

    >>> enlarged(np.arange(6, dtype=np.uint8).reshape(1, 2, 3), (2, 4))[1, :, 0]
    array([0, 0, 3, 3], dtype=uint8)
    """
    index = [
        np.minimum((np.arange(n) * (old / n) + old / n / 2).astype(int), old - 1)
        for n, old in zip(size, picture.shape[:2], strict=True)
    ]
    found: Picture = picture[np.ix_(index[0], index[1])]
    return found
