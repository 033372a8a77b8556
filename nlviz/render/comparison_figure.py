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
from PIL import Image, ImageDraw

from nlviz.denoise.comparison.results import Comparison, Part, Result
from nlviz.render.film_strip import CONTENT, GREY, GUTTER, INK, MARGIN, PAPER, UNIT
from nlviz.render.lettering import Colour, shortened, width, wrapped, write

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
RULE: Colour = (214, 219, 226)
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
    """Return the figure of a comparison, RGB: pictures, method noises on one scale, measures.

    Args:
        comparison: what to draw; of a clip, its middle frame.
        detail: top, left, height and width of the part to show; by default all of the picture, or
            the part with the most texture where it is large.

    >>> from nlviz.denoise import compare
    >>> ramp = np.tile(np.arange(0, 240, 8, dtype=np.uint8), (24, 1))
    >>> comparison_figure(compare(ramp, denoisers=["mean", "gaussian"])).width
    1800
    """
    keys = [*([] if comparison.clean is None else ["clean"]), "noisy", *comparison.results]
    plan = _layout(comparison, len(keys), detail)
    notes = wrapped(_notes(comparison, plan), 22, CONTENT)
    charted = any(r.tuned is not None for r in comparison.results.values())
    rows = math.ceil(len(keys) / plan.columns)
    pitch = CAPTION + plan.tile[1] + 8 + max(plan.tile[1], LEGEND) + GAP
    head = MARGIN + 98
    foot = head + rows * pitch + (CHART + GAP if charted else 0)
    size = (CONTENT + 2 * MARGIN, foot + LINE * len(notes) + MARGIN)
    canvas = Image.new("RGB", (size[0] * UNIT, size[1] * UNIT), PAPER)
    draw = ImageDraw.Draw(canvas)
    title, about = _title(comparison)
    write(
        draw,
        (MARGIN * UNIT, (MARGIN + 32) * UNIT),
        shortened(title, 36, CONTENT, bold=True),
        36 * UNIT,
        INK,
        bold=True,
    )
    write(
        draw,
        (MARGIN * UNIT, (MARGIN + 70) * UNIT),
        shortened(about, 24, CONTENT),
        24 * UNIT,
        GREY,
    )
    for index, key in enumerate(keys):
        left = MARGIN + index % plan.columns * (plan.room + GUTTER)
        top = head + index // plan.columns * pitch
        _cell(canvas, comparison, plan, key, (left, top), legend=index == 0)
    if charted:
        _chart(draw, comparison, head + rows * pitch)
    for number, line in enumerate(notes):
        y = foot + 22 + LINE * number
        write(draw, (MARGIN * UNIT, y * UNIT), line, 22 * UNIT, GREY)
    return canvas.reduce(UNIT)


def _layout(comparison: Comparison, count: int, detail: Box | None) -> Layout:
    height, wide = comparison.noisy.shape[1:3] if comparison.of_clip else comparison.noisy.shape[:2]
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
    height, wide = comparison.noisy.shape[1:3] if comparison.of_clip else comparison.noisy.shape[:2]
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
    height, wide = comparison.noisy.shape[1:3] if comparison.of_clip else comparison.noisy.shape[:2]
    return min(top, height - size[0]), min(left, wide - size[1]), *size


def _tile(picture: Picture, plan: Layout) -> Image.Image:
    size = (plan.tile[0] * UNIT, plan.tile[1] * UNIT)
    return Image.fromarray(picture).resize(size, Image.Resampling.NEAREST)


def _cell(
    canvas: Image.Image,
    comparison: Comparison,
    plan: Layout,
    key: str,
    at: tuple[int, int],
    *,
    legend: bool,
) -> None:
    """Draw a caption, a picture, and its method noise or the legend below it."""
    left, top = at
    draw = ImageDraw.Draw(canvas)
    result = comparison.results.get(key)
    label = result.label if result else {"clean": "Clean", "noisy": "Noisy"}[key]
    winner = comparison.clean is not None and key == comparison.best("psnr")
    room = plan.room
    write(
        draw,
        (left * UNIT, (top + 26) * UNIT),
        shortened(label, 26, room, bold=True),
        26 * UNIT,
        BEST if winner else INK,
        bold=True,
    )
    _measures(draw, comparison, key, (left, top + 56), room)
    if result is not None:
        text = shortened(_parameters(result), 20, room)
        write(draw, (left * UNIT, (top + 83) * UNIT), text, 20 * UNIT, GREY)
    y = top + CAPTION
    canvas.paste(_tile(comparison.shown(key, part=plan.part), plan), (left * UNIT, y * UNIT))
    if winner:
        corner = ((left + plan.tile[0] + 4) * UNIT - 1, (y + plan.tile[1] + 4) * UNIT - 1)
        box = ((left - 4) * UNIT, (y - 4) * UNIT, *corner)
        draw.rectangle(box, outline=BEST, width=4 * UNIT)
    below = y + plan.tile[1] + 8
    if legend:
        _legend(canvas, comparison, plan, (left, below))
    else:
        noise = comparison.shown_noise(key, part=plan.part)
        canvas.paste(_tile(noise, plan), (left * UNIT, below * UNIT))


def _measures(
    draw: ImageDraw.ImageDraw, comparison: Comparison, key: str, at: tuple[int, int], room: int
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
            x += write(draw, (x * UNIT, at[1] * UNIT), " · ", 22 * UNIT, GREY) / UNIT
        if x + width(text, 22, bold=best) > at[0] + room:
            return
        ink = BEST if best else INK
        x += write(draw, (x * UNIT, at[1] * UNIT), text, 22 * UNIT, ink, bold=best) / UNIT


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


def _legend(canvas: Image.Image, comparison: Comparison, plan: Layout, at: tuple[int, int]) -> None:
    """Say what the grey pictures are, and where a detail lies."""
    left, top = at
    draw = ImageDraw.Draw(canvas)
    wide, high = plan.room, max(plan.tile[1], LEGEND)
    y = top + 24
    for line in wrapped("Below each: its method noise, noisy minus denoised", 21, wide)[:3]:
        write(draw, (left * UNIT, y * UNIT), line, 21 * UNIT, INK)
        y += 27
    ramp = np.linspace(0, 255, wide * UNIT).round().astype(np.uint8)
    bar = np.broadcast_to(ramp[None, :, None], (18 * UNIT, wide * UNIT, 3))
    canvas.paste(Image.fromarray(np.ascontiguousarray(bar)), (left * UNIT, (y - 10) * UNIT))
    end = f"{comparison.noise_scale:.3g}"
    for text, x, align in ((f"-{end}", 0.0, "l"), ("0", wide / 2, "m"), (f"+{end}", wide, "r")):
        write(draw, ((left + x) * UNIT, (y + 32) * UNIT), text, 20 * UNIT, GREY, align=align)
    y += 48
    if plan.whole or top + high - y < 48:
        return
    pixels, every = _overview(comparison)
    picture = Image.fromarray(pixels)
    scale = min(wide / picture.width, (top + high - y) / picture.height)
    size = (max(round(picture.width * scale), 1), max(round(picture.height * scale), 1))
    small = picture.resize(size, Image.Resampling.LANCZOS)
    canvas.paste(
        small.resize((size[0] * UNIT, size[1] * UNIT), Image.Resampling.NEAREST),
        (left * UNIT, y * UNIT),
    )
    t, x0, h, w = (v * scale / every for v in plan.detail)
    frame = [left + x0, y + t, left + x0 + w - 1, y + t + h - 1]
    for grow, ink, thick in ((1, (0, 0, 0), 5), (0, (255, 255, 255), 3)):
        box = [(v + (grow if i > 1 else -grow)) * UNIT for i, v in enumerate(frame)]
        draw.rectangle(box, outline=ink, width=thick * UNIT)


def _chart(draw: ImageDraw.ImageDraw, comparison: Comparison, top: int) -> None:
    """Draw PSNR over the strength of each denoiser, as a multiple of its oracle's."""
    curves = [
        (result.label, [(v / result.tuned.value, db) for v, db in result.tuned.grid if v > 0])
        for result in comparison.results.values()
        if result.tuned is not None
    ]
    points = [p for _, curve in curves for p in curve if math.isfinite(p[1])]
    if not points:
        return
    low, high = min(x for x, _ in points), max(x for x, _ in points)
    low, high = min(low, 0.8), max(high, 1.25)
    bottom_db, top_db = min(y for _, y in points), max(y for _, y in points)
    step = next(s for s in (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0) if top_db - bottom_db <= 5 * s)
    bottom_db, top_db = math.floor(bottom_db / step) * step, math.ceil(top_db / step) * step
    top_db = max(top_db, bottom_db + step)
    left, right = MARGIN + 62, MARGIN + round(CONTENT * 0.68)
    upper, lower = top + 50, top + CHART - 58

    def place(x: float, y: float) -> tuple[float, float]:
        along = math.log(x / low) / math.log(high / low)
        up = (y - bottom_db) / (top_db - bottom_db)
        return (left + along * (right - left)) * UNIT, (lower - up * (lower - upper)) * UNIT

    title = "PSNR over the strength, on the grid against the clean picture"
    write(draw, (MARGIN * UNIT, (top + 24) * UNIT), title, 24 * UNIT, INK, bold=True)
    for tick in np.arange(bottom_db, top_db + step / 2, step):
        x, y = place(low, float(tick))
        draw.line((x, y, right * UNIT, y), fill=RULE, width=UNIT)
        text = f"{tick:.{0 if step >= 1 else 1}f}"
        write(draw, (x - 10 * UNIT, y + 7 * UNIT), text, 20 * UNIT, GREY, align="r")
    for multiple in (0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.6, 2.5, 4.0, 8.0):
        if low <= multiple <= high:
            x, y = place(multiple, bottom_db)
            draw.line((x, upper * UNIT, x, y), fill=RULE, width=UNIT)
            write(draw, (x, y + 26 * UNIT), f"{multiple:g}×", 20 * UNIT, GREY, align="m")
    middle = (left + right) / 2 * UNIT
    axis = "strength, as a multiple of each denoiser's oracle"
    write(draw, (middle, (lower + 52) * UNIT), axis, 20 * UNIT, GREY, align="m")
    for index, (label, curve) in enumerate(curves):
        ink = SERIES[index % len(SERIES)]
        dots = [place(x, y) for x, y in curve if math.isfinite(y)]
        draw.line([v for dot in dots for v in dot], fill=ink, width=3 * UNIT, joint="curve")
        for x, y in dots:
            draw.ellipse((x - 4 * UNIT, y - 4 * UNIT, x + 4 * UNIT, y + 4 * UNIT), fill=ink)
        y = upper + 16 + 32 * index
        draw.line(
            ((right + 36) * UNIT, (y - 7) * UNIT, (right + 68) * UNIT, (y - 7) * UNIT),
            ink,
            4 * UNIT,
        )
        room = MARGIN + CONTENT - right - 80
        write(draw, ((right + 80) * UNIT, y * UNIT), shortened(label, 21, room), 21 * UNIT, INK)


def _title(comparison: Comparison) -> tuple[str, str]:
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


def _notes(comparison: Comparison, plan: Layout) -> str:
    notes = []
    if ":" in comparison.sigma_from:
        notes.append(f"Sigma is {comparison.sigma_from}.")
    if comparison.clean is not None:
        notes.append("PSNR and SSIM on values neither rounded nor clipped, of the whole picture.")
    if comparison.of_clip:
        notes.append(f"Shown: the middle of {len(comparison.noisy)} frames; measured: all.")
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
    return " ".join(notes)
