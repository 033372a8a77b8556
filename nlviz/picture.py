"""Colour tables, overlays and plain pictures as arrays; also what notebooks show.

One law draws every map, on the screen and in files: a weight's share of the colour scale picks one
of 256 RGBA entries, whose opacity grows with the share, so that the picture stays visible where the
weight is small. The frame below loses most of its colour, so that orange on a red cup can be seen.
The browser is sent the same table and the same ground; it has no numbers of its own.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Container, Sequence
from dataclasses import dataclass
from functools import cache
from html import escape
from io import BytesIO

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

Picture = npt.NDArray[np.uint8]
Weights = npt.NDArray[np.float32]


MOST_WORDS = 4096  # that a notebook shows

# Matplotlib's tables: inferno by van der Walt and Smith (CC0), and ColorBrewer's RdBu, turned.
_TABLES = {"sequential": "inferno", "diverging": "RdBu_r"}
# Opacity of the share s: linear would hide weak weights, a square root lays a haze over the frame.
_GAIN, _POWER = 1.08, 0.6


@dataclass(frozen=True)
class Ground:
    """How a frame looks below a map.

    Attributes:
        kept: share of its colour that a pixel keeps, in [0, 1]; the rest becomes its luma.
        veil: opacity of the ink over it, in [0, 1].
        ink: RGB in [0, 255].
    """

    kept: float
    veil: float
    ink: tuple[int, int, int]


GROUND = Ground(kept=0.12, veil=0.32, ink=(12, 14, 20))


@cache
def colour_table(name: str) -> Picture:
    """Return the colours and opacities of a map as (256, 4) RGBA uint8, read-only.

    Args:
        name: ``sequential`` (dark violet to pale yellow, for shares from 0 to 1) or ``diverging``
            (blue, grey, red, for shares from -1 to 1).

    >>> colour_table("sequential")[[0, 255]].tolist()
    [[0, 0, 4, 0], [252, 255, 164, 255]]
    """
    from matplotlib import colormaps

    steps = np.arange(256)
    share = steps / 255 if name == "sequential" else np.abs(steps - 127.5) / 127.5
    rgba = colormaps[_TABLES[name]](steps)
    rgba[:, 3] = np.minimum(1, _GAIN * share**_POWER)
    table = np.floor(255 * rgba + 0.5).astype(np.uint8)
    table.flags.writeable = False
    return table


def ground_of(frame: Picture) -> Picture:
    """Return a frame as it looks below a map: almost grey, and a little darker.

    Args:
        frame: (..., 3) RGB in [0, 255].

    >>> ground_of(np.full((1, 1, 3), 200, np.uint8))[0, 0].tolist()
    [140, 140, 142]
    """
    # The luma of CSS and canvas blending.
    luma = (frame @ np.array([0.3, 0.59, 0.11]))[..., None]
    mixed = GROUND.kept * frame + (1 - GROUND.kept) * luma
    veiled = (1 - GROUND.veil) * mixed + GROUND.veil * np.array(GROUND.ink)
    return np.asarray(np.floor(veiled + 0.5), np.uint8)


def overlay_frame(
    frame: Picture, shares: Weights, *, strength: float = 0.85, signed: bool = False
) -> Picture:
    """Lay the weights of a map over the ground of a frame.

    Args:
        frame: (H, W, 3) RGB in [0, 255].
        shares: (H, W) weights divided by the top of the colour scale; NaN marks pixels that no
            reachable key covers, which are hatched.
        strength: opacity of the strongest weight, in [0, 1].
        signed: whether shares lie in [-1, 1] around zero rather than in [0, 1].

    >>> frame = np.full((6, 8, 3), 200, np.uint8)
    >>> overlay_frame(frame, np.ones((6, 8), np.float32), strength=1.0)[0, 0]
    array([252, 255, 164], dtype=uint8)
    """
    table = colour_table("diverging" if signed else "sequential")
    nowhere = np.isnan(shares)
    v = np.clip(np.nan_to_num(shares), -1.0 if signed else 0.0, 1.0)
    index = np.floor(((v + 1) / 2 if signed else v) * 255 + 0.5).astype(np.intp)
    # Opacities are whole steps of 1/255, as on the screen.
    opacity = np.floor(strength * table[:, 3] + 0.5)[index][..., None] / 255
    ground = ground_of(frame).astype(np.float64)
    out = ground + opacity * (table[:, :3][index] - ground)
    if nowhere.any():
        y, x = np.mgrid[: frame.shape[0], : frame.shape[1]]
        stripes = nowhere & ((x + y) % 8 < 2)
        out[stripes] = 0.4 * out[stripes] + 0.6 * 128
    return np.asarray(out.round().clip(0, 255), np.uint8)


def resized(picture: Picture, size: tuple[int, int]) -> Picture:
    """Return a picture at (height, width): the mean over areas where it shrinks, else cubic.

    >>> resized(np.zeros((30, 40, 3), np.uint8), (15, 20)).shape
    (15, 20, 3)
    """
    height, width = size
    if picture.shape[:2] == size:
        return picture
    how = cv2.INTER_AREA if height < picture.shape[0] else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(picture, (width, height), interpolation=how), np.uint8)


def scaled(shape: Sequence[int], scale: float, *, least: int = 1) -> tuple[int, int]:
    """Return the (height, width) of a picture of this shape at a scale, each at least ``least``.

    >>> scaled((90, 160, 3), 0.5), scaled((90, 160), 0.01, least=8)
    ((45, 80), (8, 8))
    """
    height, width = (max(round(n * scale), least) for n in shape[:2])
    return height, width


def encode(picture: Picture, kind: str = "png", *, quality: int = 88) -> bytes:
    """Return the bytes of a picture file of this kind (``png`` or ``jpeg``)."""
    buffer = BytesIO()
    options = {"quality": quality} if kind == "jpeg" else {}
    Image.fromarray(picture).save(buffer, kind.upper(), **options)
    return buffer.getvalue()


def data_url(picture: Picture, kind: str = "jpeg") -> str:
    """Return a picture as a data URL."""
    return f"data:image/{kind};base64,{base64.b64encode(encode(picture, kind)).decode()}"


def strip_html(
    frames: Sequence[Picture],
    *,
    captions: Sequence[str],
    title: str,
    notes: Sequence[str] = (),
) -> str:
    """Return HTML that shows frames in a row that wraps, at most 16 of them, and notes below."""
    cells = []
    for frame, caption in list(zip(frames, captions, strict=True))[:16]:
        small = resized(frame, scaled(frame.shape, min(1.0, 220 / frame.shape[1])))
        cells.append(
            f'<figure style="margin:0"><img alt="" src="{data_url(small)}" '
            'style="border-radius:4px;display:block">'
            f'<figcaption style="font-size:12px;opacity:.7">{escape(caption)}</figcaption></figure>'
        )
    below = "".join(
        f'<div style="font-size:12px;opacity:.7;margin-top:4px">{escape(note)}</div>'
        for note in notes
    )
    more = f" (the first 16 of {len(frames)})" if len(frames) > 16 else ""
    return (
        f'<div style="font-family:system-ui,sans-serif"><div style="margin:4px 0">'
        f"{escape(title)}{more}</div>"
        f'<div style="display:flex;flex-wrap:wrap;gap:8px">{"".join(cells)}</div>{below}</div>'
    )


def words_html(
    words: Sequence[str],
    shares: Sequence[float] | None = None,
    *,
    title: str,
    told: Sequence[str] = (),
    own: int | None = None,
    faint: Container[int] = (),
    signed: bool = False,
    notes: Sequence[str] = (),
) -> str:
    """Return HTML that shows words in a line that wraps, with weights as colours behind them.

    Args:
        words: at most 4096 of them are shown.
        shares: weights divided by the top of the colour scale; NaN for those out of reach, which
            are struck through; None for words alone.
        title: what they are.
        told: what a pointer over each word is told.
        own: number of the query's word, which is outlined.
        faint: numbers of words that nobody wrote.
        signed: whether shares lie in [-1, 1] around zero rather than in [0, 1].
        notes: sentences below.

    >>> html = words_html(["a", "<b>"], [0.0, 1.0], title="row")
    >>> "&lt;b&gt;" in html, html.count("background:")
    (True, 1)
    """
    table = colour_table("diverging" if signed else "sequential")
    parts = []
    for i, word in enumerate(words[:MOST_WORDS]):
        share = None if shares is None else float(shares[i])
        style = "padding:1px 3px;border-radius:3px;margin:1px;white-space:pre-wrap;"
        if share is not None and share == share and share != 0:
            kept = min(max(share, -1.0 if signed else 0.0), 1.0)
            index = math.floor(((kept + 1) / 2 if signed else kept) * 255 + 0.5)
            red, green, blue, opacity = (int(value) for value in table[index])
            dark = 0.3 * red + 0.59 * green + 0.11 * blue > 128
            style += f"background:rgb({red} {green} {blue} / {opacity / 255:.2f});"
            style += f"color:{'#111' if dark else '#fff'};" if opacity > 128 else ""
        if share is not None and share != share:
            style += "text-decoration:line-through;opacity:.45;"
        style += "opacity:.55;font-style:italic;" if i in faint else ""
        style += "outline:2px solid #0aa3c2;" if i == own else ""
        said = f' title="{escape(told[i])}"' if told else ""
        parts.append(f'<bdi style="{style}"{said}>{escape(word.strip() or word)}</bdi>')
    more = f" (the first {MOST_WORDS} of {len(words)})" if len(words) > MOST_WORDS else ""
    below = "".join(
        f'<div style="font-size:12px;opacity:.7;margin-top:4px">{escape(note)}</div>'
        for note in notes
    )
    return (
        f'<div style="font-family:system-ui,sans-serif"><div style="margin:4px 0">'
        f"{escape(title)}{more}</div>"
        f'<div dir="auto" style="line-height:1.9;overflow-wrap:anywhere">{" ".join(parts)}</div>'
        f"{below}</div>"
    )
