"""The figure of a comparison: every picture above its method noise, for a page of print.

Pixels keep whole multiples of their size, so that noise looks as it is: of a picture too large for
that, the same detail is shown everywhere, and where it lies.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from nlviz.denoise.comparison.results import Comparison, Part, Result
from nlviz.render.sheet import CONTENT, GREY, GUTTER, INK, MARGIN, Sheet
from nlviz.render.text_drawing import Colour, missing_note, shortened, width, wrapped

Picture = npt.NDArray[np.uint8]
Box = tuple[int, int, int, int]  # top, left, height, width in pixels of the picture

_OVERVIEW = 4_000_000  # pixels in which the detail is looked for
ZOOM = 2  # least size of a pixel
TALLEST = 1.25  # height of a tile over the width of its column
FLATTEST = 0.6  # of a detail
CAPTION = 96
GAP = 34
LEGEND = 130  # least height of the explanation below the first picture
CHART = 400
LINE = 30
BEST: Colour = (188, 60, 18)
TICKS = (0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.6, 2.5, 4.0, 8.0)
SERIES: tuple[Colour, ...] = (
    (217, 72, 28),
    (0, 122, 158),
    (112, 87, 200),
    (46, 140, 76),
    (196, 136, 10),
    (178, 60, 120),
    (92, 102, 116),
    (24, 28, 36),
    (120, 160, 40),
)


@dataclass(frozen=True)
class Layout:
    """Where things lie, in pixels of the figure.

    Attributes:
        columns: pictures in a row.
        room: width of a column.
        tile: width and height of a picture.
        zoom: size of its pixels.
        detail: which part of the picture is shown.
        whole: whether that is all of it.
    """

    columns: int
    room: int
    tile: tuple[int, int]
    zoom: int
    detail: Box
    whole: bool

    @property
    def part(self) -> Part:
        """The detail as slices."""
        top, left, height, wide = self.detail
        return slice(top, top + height), slice(left, left + wide)


def comparison_figure(comparison: Comparison, *, detail: Box | None = None) -> Image.Image:
    """Return the figure of a comparison as pixels, RGB.

    Args:
        comparison: what to draw; of a clip, its middle frame.
        detail: top, left, height and width of the part to show; by default all of the picture, or
            the part with the most texture where it is large.

    >>> from nlviz.denoise import compare
    >>> ramp = np.tile(np.arange(0, 240, 8, dtype=np.uint8), (24, 1))
    >>> comparison_figure(compare(ramp, denoisers=["mean", "gaussian"])).width
    1800
    """
    return comparison_sheet(comparison, detail=detail).image()


def comparison_sheet(comparison: Comparison, *, detail: Box | None = None) -> Sheet:
    """Lay out the figure: pictures, method noises on one scale, measures.

    Args:
        comparison: what to draw; of a clip, its middle frame.
        detail: as for :func:`comparison_figure`.
    """
    keys = [*([] if comparison.clean is None else ["clean"]), "noisy", *comparison.results]
    plan = _layout(comparison, len(keys), detail)
    title, about = title_of(comparison)
    notes = " ".join([*_notes(comparison, plan), missing_note([title])]).strip()
    lines = wrapped(notes, 20, CONTENT)
    charted = any(r.tuned is not None for r in comparison.results.values())
    rows = math.ceil(len(keys) / plan.columns)
    pitch = CAPTION + plan.tile[1] + 8 + max(plan.tile[1], LEGEND) + GAP
    head = MARGIN + 98
    foot = head + rows * pitch + (CHART + GAP if charted else 0)
    sheet = Sheet(CONTENT + 2 * MARGIN, foot + LINE * len(lines) + MARGIN)
    sheet.text((MARGIN, MARGIN + 32), shortened(title, 34, CONTENT, bold=True), 34, bold=True)
    sheet.text((MARGIN, MARGIN + 70), shortened(about, 22, CONTENT), 22, GREY)
    for index, key in enumerate(keys):
        left = MARGIN + index % plan.columns * (plan.room + GUTTER)
        top = head + index // plan.columns * pitch
        _cell(sheet, comparison, plan, key, (left, top), legend=index == 0)
    if charted:
        _chart(sheet, comparison, head + rows * pitch)
    for number, line in enumerate(lines):
        sheet.text((MARGIN, foot + 22 + LINE * number), line, 20, GREY)
    return sheet


def _layout(comparison: Comparison, count: int, detail: Box | None) -> Layout:
    height, wide = comparison.size
    choices = [c for c in (4, 3, 5) if c <= max(count, 3)]
    columns = min(choices, key=lambda c: (-(-count // c) * c - count, choices.index(c)))
    room = (CONTENT - GUTTER * (columns - 1)) // columns
    tallest = round(TALLEST * room)
    whole = detail is None and wide * ZOOM <= room and height * ZOOM <= tallest
    if detail is not None:
        box = detail
    elif whole:
        box = (0, 0, height, wide)
    else:
        across = min(wide, room // ZOOM)
        aspect = min(max(height / wide, FLATTEST), TALLEST)
        box = _textured(comparison, (min(height, max(round(across * aspect), 1)), across))
    zoom = max(min(room // box[3], tallest // box[2]), 1)
    return Layout(columns, room, (box[3] * zoom, box[2] * zoom), zoom, box, whole)


def _overview(comparison: Comparison) -> tuple[Picture, int]:
    """Return every n-th pixel of the picture, to judge where things lie, and n."""
    height, wide = comparison.size
    every = math.ceil(math.sqrt(height * wide / _OVERVIEW))
    key = "noisy" if comparison.clean is None else "clean"
    return comparison.shown(key, part=(slice(None, None, every), slice(None, None, every))), every


def _textured(comparison: Comparison, size: tuple[int, int]) -> Box:
    """Return the place of this size with the most texture, of equals the first."""
    picture, every = _overview(comparison)
    grey = picture.astype(np.float32).mean(-1)
    smooth = cv2.GaussianBlur(grey, (0, 0), 1.5)
    slope = np.hypot(cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1))
    # The root keeps one strong edge from outweighing a texture.
    sums = np.pad(np.sqrt(slope).astype(np.float64).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    h, w = (max(n // every, 1) for n in size)
    total = sums[h:, w:] - sums[:-h, w:] - sums[h:, :-w] + sums[:-h, :-w]
    top, left = (int(i) * every for i in np.unravel_index(int(total.argmax()), total.shape))
    height, wide = comparison.size
    return min(top, height - size[0]), min(left, wide - size[1]), *size


def _cell(
    sheet: Sheet,
    comparison: Comparison,
    plan: Layout,
    key: str,
    at: tuple[int, int],
    *,
    legend: bool,
) -> None:
    """Draw a caption, a picture, and its method noise or the legend below it."""
    left, top = at
    result = comparison.results.get(key)
    label = result.label if result else {"clean": "Clean", "noisy": "Noisy"}[key]
    winner = comparison.clean is not None and key == comparison.best("psnr")
    room = plan.room
    ink = BEST if winner else INK
    sheet.text((left, top + 26), shortened(label, 24, room, bold=True), 24, ink, bold=True)
    _measures(sheet, comparison, key, (left, top + 56), room)
    if result is not None:
        text = shortened(_parameters(result), 18, room)
        sheet.text((left, top + 83), text, 18, GREY)
    y, (wide, high) = top + CAPTION, plan.tile
    picture = comparison.shown(key, part=plan.part)
    sheet.picture(picture, (left, y, left + wide, y + high))
    if winner:
        sheet.box((left - 4, y - 4, left + wide + 4, y + high + 4), edge=BEST, line=4)
    below = y + high + 8
    if legend:
        _legend(sheet, comparison, plan, (left, below))
    else:
        noise = comparison.shown_noise(key, part=plan.part)
        sheet.picture(noise, (left, below, left + wide, below + high))


def _measures(
    sheet: Sheet, comparison: Comparison, key: str, at: tuple[int, int], room: int
) -> None:
    """Write decibels, similarity and seconds, those that are best in bold."""
    result = comparison.results.get(key)
    measured: Any = result or (comparison if key == "noisy" else None)
    parts = []
    if measured is not None and measured.psnr is not None:
        parts.append((f"{measured.psnr:.2f} dB", "psnr"))
    if measured is not None and measured.ssim is not None:
        parts.append((f"SSIM {measured.ssim:.3f}", "ssim"))
    if result is not None:
        parts.append((seconds_text(result.seconds), "seconds"))
    x = float(at[0])
    for index, (text, column) in enumerate(parts):
        best = result is not None and key == comparison.best(column)
        if index:
            x += sheet.text((x, at[1]), " · ", 20, GREY)
        if x + width(text, 20, bold=best) > at[0] + room:
            return
        x += sheet.text((x, at[1]), text, 20, BEST if best else INK, bold=best)


def seconds_text(seconds: float) -> str:
    """Return a time with two digits that matter.

    >>> seconds_text(0.00312), seconds_text(0.278), seconds_text(12.34)
    ('3.1 ms', '280 ms', '12 s')
    """
    value, unit = (seconds, "s") if seconds >= 1 else (seconds * 1000, "ms")
    digits = max(1 - math.floor(math.log10(max(value, 1e-9))), 0)
    rounded = round(value, digits if value < 10 else 1 - math.floor(math.log10(value)))
    return f"{rounded:.{min(digits, 2)}f} {unit}"


def _parameters(result: Result) -> str:
    parts = []
    for name, value in result.parameters.items():
        if value is None or value is False or (name == "bias" and value is True):
            continue
        oracle = " (oracle)" if result.tuned and name == result.tuned.parameter else ""
        shown = "" if value is True else f" {value:.4g}"
        parts.append(f"{name.replace('_', ' ')}{shown}{oracle}")
    if result.parameters.get("bias") is False:
        parts.append("without bias")
    return ", ".join(parts)


def _legend(sheet: Sheet, comparison: Comparison, plan: Layout, at: tuple[int, int]) -> None:
    """Say what the grey pictures are, and where a detail lies."""
    left, top = at
    wide, high = plan.room, max(plan.tile[1], LEGEND)
    y = top + 24
    for line in wrapped("Below each: its method noise, noisy minus denoised", 19, wide)[:3]:
        sheet.text((left, y), line, 19)
        y += 27
    ramp = np.linspace(0, 255, wide).round().astype(np.uint8)
    bar = np.broadcast_to(ramp[None, :, None], (18, wide, 3))
    sheet.picture(np.ascontiguousarray(bar), (left, y - 10, left + wide, y + 8))
    end = f"{comparison.noise_scale:.3g}"
    for text, x, align in ((f"-{end}", 0.0, "l"), ("0", wide / 2, "m"), (f"+{end}", wide, "r")):
        sheet.text((left + x, y + 32), text, 18, GREY, align=align)
    y += 48
    if plan.whole or top + high - y < 48:
        return
    pixels, every = _overview(comparison)
    scale = min(wide / pixels.shape[1], (top + high - y) / pixels.shape[0])
    size = (max(round(pixels.shape[1] * scale), 1), max(round(pixels.shape[0] * scale), 1))
    small = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))
    sheet.picture(small, (left, y, left + size[0], y + size[1]))
    t, x0, h, w = (v * scale / every for v in plan.detail)
    frame = (left + x0, y + t, left + x0 + w, y + t + h)
    for grow, ink, thick in ((1, (0, 0, 0), 5), (0, (255, 255, 255), 3)):
        x0, y0, x1, y1 = frame
        sheet.box((x0 - grow, y0 - grow, x1 + grow, y1 + grow), edge=ink, line=thick)


def _chart(sheet: Sheet, comparison: Comparison, top: int) -> None:
    """Draw PSNR over the strength of each denoiser, as a multiple of its oracle's."""
    curves = []
    for result in comparison.results.values():
        if result.tuned is not None:
            best = result.tuned.value
            points = [(v / best, db) for v, db in result.tuned.grid if v > 0 and math.isfinite(db)]
            curves.append((result.label, points))
    everywhere = [point for _, points in curves for point in points]
    if not everywhere:
        return
    title = "PSNR over the strength, on the grid against the clean picture"
    sheet.text((MARGIN, top + 24), title, 22, bold=True)
    right = MARGIN + round(CONTENT * 0.68)
    axes = sheet.chart((MARGIN + 62, top + 50, right, top + CHART - 58))
    low, high = min(x for x, _ in everywhere), max(x for x, _ in everywhere)
    ticks = [m for m in TICKS if min(low, 0.8) <= m <= max(high, 1.25)]
    axes.set_xscale("log")
    axes.minorticks_off()
    axes.set_xticks(ticks, [f"{multiple:g}×" for multiple in ticks])
    axes.set_xlim(min(low, 0.8), max(high, 1.25))
    axes.set_xlabel("strength, as a multiple of each denoiser's oracle")
    for index, (label, points) in enumerate(curves):
        colour = tuple(value / 255 for value in SERIES[index % len(SERIES)])
        x, y = zip(*points, strict=True) if points else ((), ())
        axes.plot(x, y, "-o", color=colour, clip_on=False)
        at = top + 66 + 32 * index
        ink = SERIES[index % len(SERIES)]
        sheet.shape([(right + 36, at - 7), (right + 68, at - 7)], edge=ink, line=4, closed=False)
        room = MARGIN + CONTENT - right - 80
        sheet.text((right + 80, at), shortened(label, 19, room), 19)


def title_of(comparison: Comparison) -> tuple[str, str]:
    """Return what was compared, and what the denoisers were given."""
    noise = comparison.setup.noise
    what = "noisy already" if noise is None else noise.sentence
    title = f"{comparison.name} · {what}"
    origin = comparison.sigma_from.partition(":")[0]
    told = f"denoisers are told sigma {comparison.sigma:.4g} ({origin})"
    seen = "Input as it is" if noise is None else "Input in float, never rounded"
    if comparison.precision == "uint8":
        seen = "Input rounded and clipped to uint8 for all"
    seed = "" if noise is None else f", seed {comparison.setup.seed}"
    return title, f"{seen}{seed}; {told}"


def _notes(comparison: Comparison, plan: Layout) -> list[str]:
    notes = [_sentence(note) for note in comparison.notes]
    if ":" in comparison.sigma_from:
        notes.append(f"Sigma is {comparison.sigma_from}.")
    if comparison.clean is not None:
        ends = comparison.range
        where = "what is not masked" if comparison.mask is not None else "the whole picture"
        notes.append(
            f"PSNR and SSIM on values neither rounded nor clipped, of {where}, against the range "
            f"{ends.low:.6g} to {ends.high:.6g}."
        )
    if comparison.of_clip:
        word = "slices" if comparison.kind == "volume" else "frames"
        notes.append(f"Shown: the middle of {len(comparison.noisy)} {word}; measured: all.")
    channels = comparison.noisy.shape[-1] if comparison.coloured else 1
    if channels not in (1, 3):
        notes.append(f"Shown: the mean of the {channels} channels.")
    if comparison.setup.fair:
        notes.append(
            "Fair: same input, patch and window for all; every strength is the oracle's, the best "
            "of a grid against the clean picture."
        )
    if not plan.whole:
        top, left, height, wide = plan.detail
        notes.append(
            f"Shown: {wide} × {height} pixels from x {left}, y {top} on, each {plan.zoom} × "
            f"{plan.zoom} in size."
        )
    for result in comparison.results.values():
        if "non-commercial" in result.licence:
            notes.append(f"{result.label}: {result.licence}.")
    return notes


def _sentence(note: str) -> str:
    whole = note[:1].upper() + note[1:]
    return whole if whole.endswith(".") else f"{whole}."
