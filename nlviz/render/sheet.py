"""A page for print: pictures, text and marks, saved as pixels or as a vector file.

Drawn by matplotlib's objects (a ``Figure`` of its own, never pyplot), so that threads do not meet.
Pictures stay pixels in every file: in a PNG each is laid on whole pixels of the page, in a PDF or
an SVG it is kept without loss and only its size is given; text and marks are outlines there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from threading import Lock
from typing import Any, Literal

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.image import AxesImage
from matplotlib.patches import FancyBboxPatch, Patch, PathPatch
from matplotlib.path import Path
from matplotlib.transforms import Affine2D, Transform
from PIL import Image, PngImagePlugin

from nlviz.render.fonts import REGULAR
from nlviz.render.text_drawing import Colour, advance, runs, width
from nlviz.resources import asset

Pixels = npt.NDArray[np.uint8]
Corner = tuple[float, float]  # x, y
Box = tuple[float, float, float, float]  # left, top, right, bottom
Vector = Literal["pdf", "svg"]

PER_INCH = 256  # pixels of a page; a power of two keeps sizes in inches exact
CONTENT = 1728  # width of a full page between its margins: 6.75 inches
MARGIN = 36
GUTTER = 18

PAPER: Colour = (255, 255, 255)
INK: Colour = (24, 28, 36)
GREY: Colour = (92, 102, 116)
RULE: Colour = (214, 219, 226)

# Fonts as TrueType, which publishers ask for; names in an SVG that do not change from run to run.
_SETTINGS = {"pdf.fonttype": 42, "svg.fonttype": "path", "svg.hashsalt": "nlviz"}
_LOCK = Lock()


class Sheet:
    """A page on which things are laid in pixels from its upper left corner.

    Args:
        wide: width in pixels.
        high: height in pixels.
        below: a page that this one is a part of: it grows by this one, at its lower end; charts
            are laid on whole pages alone.

    >>> sheet = Sheet(60, 40)
    >>> sheet.picture(np.full((5, 7, 3), 9, np.uint8), (10, 10, 24, 20))
    >>> np.asarray(sheet.image())[15, [9, 10, 23, 24], 0]
    array([255,   9,   9, 255], dtype=uint8)
    """

    def __init__(self, wide: int, high: int, *, below: Sheet | None = None) -> None:
        self.size = (wide, high)
        self._top = 0
        self._figure: Figure
        self._axes: Axes
        if below is not None:
            self._figure, self._axes = below._figure, below._axes
            self._top = below.size[1]
            below._grow(wide, high)
            return
        size = (wide / PER_INCH, high / PER_INCH)
        self._figure = Figure(figsize=size, dpi=PER_INCH, facecolor="white")
        self._figure.set_layout_engine("none")
        axes = self._figure.add_axes((0, 0, 1, 1), frameon=False)
        axes.set_axis_off()
        axes.set(xlim=(0, wide), ylim=(high, 0), autoscale_on=False)
        self._axes = axes

    def _grow(self, wide: int, high: int) -> None:
        """Make the page higher, and as wide as what is laid below it."""
        self.size = (max(self.size[0], wide), self.size[1] + high)
        self._figure.set_size_inches(self.size[0] / PER_INCH, self.size[1] / PER_INCH)
        self._axes.set(xlim=(0, self.size[0]), ylim=(self.size[1], 0))

    @property
    def _data(self) -> Transform:
        """From pixels of this page to those of the figure."""
        moved: Transform = Affine2D().translate(0, self._top) + self._axes.transData
        return moved

    def picture(self, pixels: Pixels, box: Box, *, above: float = 1.0) -> None:
        """Lay a picture (h, w, 3) into a box, its pixels enlarged without a blur."""
        left, top, right, bottom = box
        top, bottom = top + self._top, bottom + self._top
        image = AxesImage(
            self._axes,
            interpolation="none",
            extent=(left, right, bottom, top),
            origin="upper",
            resample=False,
            zorder=above,
        )
        image.set_data(np.ascontiguousarray(pixels))
        image.set_clip_path(self._axes.patch)
        self._axes.add_image(image)

    def text(
        self,
        at: Corner,
        text: str,
        size: int,
        colour: Colour = INK,
        *,
        align: str = "l",
        bold: bool = False,
        above: float = 8.0,
        clip: Path | None = None,
    ) -> float:
        """Write a line of text and return its width.

        Args:
            at: x, and y of the baseline.
            text: the line.
            size: of the font in pixels.
            colour: of the letters.
            align: ``l``, ``m`` or ``r``: x is the left end, the middle or the right end.
            bold: whether to take the bold font.
            above: order of drawing.
            clip: where to draw; None everywhere.
        """
        total = width(text, size, bold=bold)
        x = at[0] - {"l": 0.0, "m": total / 2, "r": total}[align]
        for piece, path in runs(text, bold=bold):
            made = self._axes.text(
                x,
                at[1] + self._top,
                piece,
                color=_shares(colour),
                fontproperties=FontProperties(fname=path, size=_points(size)),
                va="baseline",
                zorder=above,
                parse_math=False,
                usetex=False,
            )
            if clip is not None:
                made.set_clip_path(clip, self._data)
            x += advance(piece, path, size)
        return total

    def box(
        self,
        box: Box,
        *,
        fill: Colour | None = None,
        edge: Colour | None = None,
        line: float = 0.0,
        radius: float = 0.0,
        above: float = 3.0,
        clip: Path | None = None,
    ) -> None:
        """Draw a rectangle; its edge, ``line`` pixels wide, lies inside it."""
        left, top, right, bottom = box
        inset = line / 2
        patch = FancyBboxPatch(
            (left + inset, top + inset),
            max(right - left - line, 0.0),
            max(bottom - top - line, 0.0),
            boxstyle=f"round,pad=0,rounding_size={radius}" if radius else "square,pad=0",
            mutation_aspect=1,
        )
        self._add(patch, fill, edge, line, 1.0, above, clip)

    def shape(
        self,
        corners: Sequence[Corner],
        *,
        fill: Colour | None = None,
        edge: Colour | None = None,
        line: float = 0.0,
        opacity: float = 1.0,
        closed: bool = True,
        above: float = 3.0,
        clip: Path | None = None,
    ) -> None:
        """Draw a polygon, or an open line through its corners, the joints round."""
        points = [*corners, corners[0]] if closed else list(corners)
        codes = [Path.MOVETO, *[Path.LINETO] * (len(points) - 1)]
        if closed:
            codes[-1] = Path.CLOSEPOLY
        patch = PathPatch(Path(np.array(points), codes), joinstyle="round", capstyle="butt")
        self._add(patch, fill, edge, line, opacity, above, clip)

    def dot(
        self,
        at: Corner,
        radius: float,
        fill: Colour,
        *,
        above: float = 3.0,
        clip: Path | None = None,
    ) -> None:
        """Draw a disc."""
        patch = PathPatch(Path.circle(at, radius))
        self._add(patch, fill, None, 0.0, 1.0, above, clip)

    def dots(
        self, places: Sequence[Corner], radius: float, fill: Colour, *, above: float = 3.0
    ) -> None:
        """Draw discs of one colour and size, as one mark however many they are."""
        if places:
            circles = Path.make_compound_path(*(Path.circle(at, radius) for at in places))
            self._add(PathPatch(circles), fill, None, 0.0, 1.0, above, None)

    def lines(
        self,
        ends: Sequence[tuple[Corner, Corner]],
        edge: Colour,
        *,
        line: float,
        above: float = 3.0,
    ) -> None:
        """Draw straight lines of one colour and width, as one mark however many they are."""
        if ends:
            points = np.array(ends, np.float64).reshape(-1, 2)
            codes = [Path.MOVETO, Path.LINETO] * len(ends)
            self._add(PathPatch(Path(points, codes)), None, edge, line, 1.0, above, None)

    def chart(self, box: Box) -> Axes:
        """Return axes in the style of the page whose frame fills a box: grid, no spines."""
        left, top, right, bottom = box
        wide, high = self.size
        axes = self._figure.add_axes(
            (left / wide, 1 - bottom / high, (right - left) / wide, (bottom - top) / high),
            facecolor="none",
        )
        font = FontProperties(fname=str(asset(REGULAR)), size=_points(18))
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_tick_params(
                length=0, pad=_points(8), labelcolor=_shares(GREY), labelsize=_points(18)
            )
            axis.grid(True, which="major", color=_shares(RULE), linewidth=_points(1))
            axis.set_label_text("", color=_shares(GREY), fontproperties=font)
            axis.labelpad = _points(6)
        axes.spines[:].set_visible(False)
        axes.set_axisbelow(True)
        axes.set_prop_cycle(linewidth=[_points(3)], markersize=[_points(9)])
        return axes

    def _add(
        self,
        patch: Patch,
        fill: Colour | None,
        edge: Colour | None,
        line: float,
        opacity: float,
        above: float,
        clip: Path | None,
    ) -> None:
        patch.set(
            facecolor="none" if fill is None else (*_shares(fill), opacity),
            edgecolor="none" if edge is None else (*_shares(edge), opacity),
            linewidth=_points(line) if edge is not None else 0,
            zorder=above,
            transform=self._data,
            snap=False,  # boxes lie on whole pixels as they are
        )
        self._axes.add_artist(patch)
        if clip is None:
            patch.set_clip_on(False)
        else:
            patch.set_clip_path(clip, self._data)

    def image(self) -> Image.Image:
        """Return the page as pixels, RGB."""
        canvas: Any = FigureCanvasAgg(self._figure)
        canvas.draw()
        return Image.fromarray(np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[..., :3]))

    def png(self, *, key: str = "", metadata: str | None = None) -> bytes:
        """Return the page as a PNG file.

        Args:
            key: under which the metadata is kept in the file.
            metadata: a text, or None.
        """
        info = PngImagePlugin.PngInfo()
        info.add_text("Software", "nlviz")
        if metadata is not None:
            info.add_itxt(key, metadata)
        buffer = BytesIO()
        dpi = (PER_INCH, PER_INCH)
        self.image().save(buffer, "PNG", pnginfo=info, dpi=dpi, compress_level=6)
        return buffer.getvalue()

    def vector(self, kind: Vector, *, title: str = "", metadata: str | None = None) -> bytes:
        """Return the page as a PDF or an SVG file, the same bytes for the same page.

        Args:
            kind: ``pdf`` or ``svg``.
            title: of the document.
            metadata: a text that the file carries as its subject or description, or None.
        """
        buffer = BytesIO()
        about = {"Title": title, "Creator": "nlviz"}
        canvas: Any
        with _settings():
            if kind == "pdf":
                canvas = FigureCanvasPdf(self._figure)
                more = {"Subject": metadata, "CreationDate": None}
                canvas.print_pdf(buffer, metadata={**about, **more})
            else:
                canvas = FigureCanvasSVG(self._figure)
                more = {"Description": metadata, "Date": None}
                canvas.print_svg(buffer, metadata={**about, **more})
        self._figure.dpi = PER_INCH  # both canvases leave their own behind
        return buffer.getvalue()


def rectangles(boxes: Sequence[Box]) -> Path:
    """Return some boxes as one path, to clip marks to.

    >>> len(rectangles([(0, 0, 5, 3), (6, 0, 9, 3)]).vertices)
    10
    """
    corners = [
        Path(
            np.array([(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]),
            [Path.MOVETO, Path.LINETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY],
        )
        for left, top, right, bottom in boxes
    ]
    return Path.make_compound_path(*corners)


def _points(pixels: float) -> float:
    return pixels * 72 / PER_INCH


def _shares(colour: Colour) -> tuple[float, float, float]:
    red, green, blue = (value / 255 for value in colour)
    return red, green, blue


@contextmanager
def _settings() -> Iterator[None]:
    """Set what matplotlib's vector files take from the process, and put it back."""
    with _LOCK:
        settings: Any = matplotlib.rcParams
        kept = {name: settings[name] for name in _SETTINGS}
        settings.update(_SETTINGS)
        try:
            yield
        finally:
            settings.update(kept)
