"""What denoisers made of one noisy picture: pictures, measures, and a table of them."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nlviz.denoise.axes import Kind
from nlviz.denoise.comparison.oracle import Tuned
from nlviz.denoise.comparison.setup import Precision, Setup
from nlviz.denoise.denoiser import Value
from nlviz.denoise.ground import Mask
from nlviz.denoise.image import Image
from nlviz.denoise.ranges import Range
from nlviz.errors import NlvizError
from nlviz.picture import strip_html

Floats = npt.NDArray[np.floating[Any]]
COLUMNS = ("psnr", "ssim", "seconds")  # that have a best value
Part = tuple[slice, slice]
EVERYTHING: Part = (slice(None), slice(None))
_NOISES = 3.0  # standard deviations to each end of the scale of method noise


@dataclass(frozen=True, eq=False)
class Result:
    """What one denoiser made of the noisy picture.

    Attributes:
        picture: of the type of the noisy one, in the picture's units, neither rounded nor clipped.
        method_noise: noisy minus picture.
        psnr, ssim: against the clean picture; None where that is unknown, and ssim None for
            pictures below 11 pixels.
        seconds: of the clock on the wall, imports and compilation aside; of a quick denoiser the
            fastest of up to five runs.
        parameters: all of them.
        note: what a reader should know.
        licence: of the code that ran.
        label: the denoiser's name for people.
        tuned: how its strength was found, in a fair comparison.
    """

    picture: Floats
    method_noise: Floats
    psnr: float | None
    ssim: float | None
    seconds: float
    parameters: dict[str, Value]
    note: str
    licence: str
    label: str
    tuned: Tuned | None = None


@dataclass(frozen=True, eq=False)
class Comparison:
    """Denoisers on one noisy picture, or on one noisy clip.

    Attributes:
        clean: the clean picture, or None for one that was noisy already; its axes in the order T
            or Z, Y, X, C.
        noisy: float32, what every denoiser was given; float64 where float32 does not hold it.
        results: by name, in the order asked for.
        sigma: standard deviation of the noise that the denoisers were given.
        sigma_from: where sigma comes from, in words.
        range: black and white, and how they are known; PSNR and SSIM are measured against it.
        precision: ``float``, or ``uint8`` where the input was rounded and clipped for all.
        setup: how it was made.
        digest: sha256 of the pixels that were given.
        psnr, ssim: of the noisy picture itself.
        name: of the picture.
        source: how to find the picture again, for files.
        kind: whether it is a picture, a clip or a volume.
        coloured: whether its last axis are channels.
        mask: True where a pixel does not count, or None.
        notes: sentences on the noise and the range that a reader should know.
    """

    clean: Image | None
    noisy: Floats
    results: dict[str, Result]
    sigma: float
    sigma_from: str
    range: Range
    precision: Precision
    setup: Setup
    digest: str
    psnr: float | None
    ssim: float | None
    name: str = "picture"
    source: Mapping[str, Any] | None = None
    kind: Kind = "picture"
    coloured: bool = False
    mask: Mask | None = None
    notes: tuple[str, ...] = ()

    @property
    def white(self) -> float:
        """White less black: what PSNR and SSIM are measured against."""
        return self.range.span

    @property
    def of_clip(self) -> bool:
        """Whether frames, or slices of a volume, were denoised rather than one picture."""
        return self.kind != "picture"

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the picture, or of a frame or slice, in pixels."""
        height, width = self.noisy.shape[1:3] if self.of_clip else self.noisy.shape[:2]
        return height, width

    @property
    def table(self) -> list[dict[str, Any]]:
        """A row for each denoiser, in order.

        Keys: denoiser, label, psnr, ssim, seconds, parameters, note, licence, and best, the set of
        columns in which no other is better.
        """
        rows = []
        for name, result in self.results.items():
            rows.append(
                {
                    "denoiser": name,
                    "label": result.label,
                    "psnr": result.psnr,
                    "ssim": result.ssim,
                    "seconds": result.seconds,
                    "parameters": dict(result.parameters),
                    "note": result.note,
                    "licence": result.licence,
                    "best": {c for c in COLUMNS if name in self._best(c)},
                }
            )
        return rows

    def best(self, column: str = "psnr") -> str | None:
        """Return the name of the denoiser that is best in a column; the first where several are.

        None where the column is empty, as PSNR is without a clean picture.

        Raises:
            NlvizError: when there is no such column.
        """
        if column not in COLUMNS:
            raise NlvizError(f"the best is told of {', '.join(COLUMNS)}, got {column!r}")
        return next(iter(self._best(column)), None)

    def _best(self, column: str) -> list[str]:
        values = {name: getattr(result, column) for name, result in self.results.items()}
        there = [value for value in values.values() if value is not None]
        if not there:
            return []
        best = min(there) if column == "seconds" else max(there)
        return [name for name, value in values.items() if value == best]

    @property
    def noise_scale(self) -> float:
        """The value at the ends of the scale that all method noises are shown on."""
        return _NOISES * self.sigma if self.sigma > 0 else self.white / 10

    def shown(
        self, key: str, *, frame: int | None = None, part: Part = EVERYTHING
    ) -> npt.NDArray[np.uint8]:
        """Return a picture as it is seen on a screen: (H, W, 3) uint8, clipped to the range.

        Args:
            key: ``clean``, ``noisy`` or the name of a denoiser.
            frame: of a clip; the middle one by default.
            part: slices of rows and columns; all by default.
        """
        picture = {"clean": self.clean, "noisy": self.noisy}.get(key)
        if picture is None:
            picture = self._result(key).picture
        return _seen((self._cut(picture, frame, part) - self.range.low) / self.white)

    def shown_noise(
        self, name: str, *, frame: int | None = None, part: Part = EVERYTHING
    ) -> npt.NDArray[np.uint8]:
        """Render a denoiser's method noise as (H, W, 3) RGB uint8.

        Mid-grey is zero; all denoisers share one scale.

        ``noisy`` gives the noise that was added, where the clean picture is known.
        """
        if name == "noisy":
            if self.clean is None:
                raise NlvizError("the noise of a picture that was noisy already is not known")
            noise = self._cut(self.noisy, frame, part) - self._cut(self.clean, frame, part)
        else:
            noise = self._cut(self._result(name).method_noise, frame, part)
        return _seen(0.5 + noise / (2 * self.noise_scale))

    def _cut(self, picture: Image, frame: int | None, part: Part) -> npt.NDArray[np.float64]:
        if self.of_clip:
            picture = picture[len(picture) // 2 if frame is None else frame]
        values = np.asarray(picture[part], np.float64)
        if self.coloured and values.shape[-1] != 3:
            return values.mean(-1)  # type: ignore[no-any-return]
        return values

    def _result(self, name: str) -> Result:
        if name not in self.results:
            raise NlvizError(f"this comparison has no {name!r}; it has {', '.join(self.results)}")
        return self.results[name]

    def __repr__(self) -> str:
        size = "x".join(map(str, self.noisy.shape))
        return (
            f"Comparison({self.name!r}, {size}, range {self.range.low:.6g} to "
            f"{self.range.high:.6g}, sigma {self.sigma:.4g}: {', '.join(self.results)})"
        )

    def _repr_html_(self) -> str:
        keys = [*([] if self.clean is None else ["clean"]), "noisy", *self.results]
        captions = []
        for key in keys:
            decibels = self.psnr if key == "noisy" else None
            decibels = self.results[key].psnr if key in self.results else decibels
            captions.append(key if decibels is None else f"{key}: {decibels:.2f} dB")
        strip = strip_html([self.shown(k) for k in keys], captions=captions, title=repr(self))
        head = "".join(f"<th>{c}</th>" for c in ("", "PSNR", "SSIM", "seconds", "note"))
        body = []
        for row in self.table:
            cells = [html.escape(row["label"])]
            for column, text in zip(COLUMNS, numbers_of(row), strict=True):
                cells.append(f"<b>{text}</b>" if column in row["best"] else text)
            cells.append(html.escape(row["note"]))
            body.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
        return f"{strip}<table><tr>{head}</tr>{''.join(body)}</table>"


def _seen(shares: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
    """Return shares of white as the three channels of a screen."""
    whole = np.nan_to_num(shares.clip(0, 1))  # masked pixels may be anything
    seen = np.rint(whole * 255).astype(np.uint8)
    return np.repeat(seen[..., None], 3, axis=2) if seen.ndim == 2 else seen


def numbers_of(row: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return PSNR, SSIM and seconds of a row as text; a dash for a missing value.

    >>> numbers_of({"psnr": 29.456, "ssim": None, "seconds": 0.0123})
    ('29.46', '-', '0.012')
    """
    return (
        "-" if row["psnr"] is None else f"{row['psnr']:.2f}",
        "-" if row["ssim"] is None else f"{row['ssim']:.4f}",
        f"{row['seconds']:.3f}",
    )
