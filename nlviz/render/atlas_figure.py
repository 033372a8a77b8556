"""One query in every layer and head as a picture: what ``nlviz.atlas`` returns.

nlviz.atlas(capture, (3, 96, 140)).save("every-head.pdf")
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from nlviz.affinity.asked import Query
from nlviz.analysis.atlas import HeadMaps, Place, head_maps
from nlviz.analysis.atlas_figures import OF_THE_ROW, figure_of
from nlviz.captures.capture import Capture
from nlviz.errors import NlvizError
from nlviz.files.local import suffix_of, write_whole
from nlviz.picture import Picture, colour_table, ground_of, overlay_frame, strip_html
from nlviz.progress import Listener
from nlviz.render.sheet import GREY, INK, MARGIN, RULE, Sheet
from nlviz.render.text_drawing import shortened, width, wrapped
from nlviz.sentences import counted, listed
from nlviz.views.atlas_tiles import LayerTiles, Scale, Tiles, tiles_of
from nlviz.words.atlas import short_names

KINDS = ("png", "pdf", "svg", "json")
STRENGTH = 0.95  # opacity of the strongest weight
CYAN = (10, 163, 194)  # of the query
LOW, HIGH = (201, 208, 216), (46, 105, 190)  # colours of the least and the largest figure
LEAST_TILE, MOST_TILE = 96, 264  # width of a tile in pixels of a page
STRIP, TOKEN = 12, 24  # height of a strip of tokens, and the most that one is wide
GAP, CAPTION = 8, 26
LABEL = 210  # width of the names of layers
LEAST_PAGE = 1300  # width that a title has
WIDEST = 2600  # of what lies between the margins
FLAT = 20  # height of a strip of words that is a tile


class Spot(NamedTuple):
    """Where a head is drawn.

    Attributes:
        place: which head it is.
        left, top: of its tile, in pixels of the page.
    """

    place: Place
    left: int
    top: int


@dataclass(frozen=True, eq=False, repr=False)
class Atlas(HeadMaps):
    """One query in every layer and head, which can be sorted, drawn and saved.

    Attributes:
        capture, query, said, layers, left_out, untold: as of ``HeadMaps``.
    """

    @cached_property
    def tiles(self) -> Tiles:
        """The maps as small multiples on one colour scale."""
        return tiles_of(self)

    @cached_property
    def names(self) -> dict[str, str]:
        """What layers are called, by name of the block."""
        return short_names(self.capture.affinities)

    def save(
        self,
        path: str | Path,
        *,
        figure: str | None = None,
        smallest: bool = False,
        logarithmic: bool = False,
    ) -> Path:
        """Save the atlas as a picture or as data; the ending says which.

        Args:
            path: a ``.png``, ``.pdf``, ``.svg`` or ``.json``.
            figure: name of the figure that heads are sorted and coloured by; None for their order.
            smallest: whether the smallest comes first.
            logarithmic: whether the colour scale is logarithmic.

        Raises:
            NlvizError: for another ending, or a figure that is not known.
        """
        kind = suffix_of(path, KINDS, what="an atlas")
        content = self.to_bytes(kind, figure=figure, smallest=smallest, logarithmic=logarithmic)
        return write_whole(path, content)

    def to_bytes(
        self,
        kind: str,
        *,
        figure: str | None = None,
        smallest: bool = False,
        logarithmic: bool = False,
    ) -> bytes:
        """Return the bytes of a file of this kind; see ``save``.

        Raises:
            NlvizError: for another kind, or a figure that is not known.
        """
        if kind == "json":
            return json.dumps(self.to_dict(), indent=1, allow_nan=False).encode()
        if kind not in KINDS:
            raise NlvizError(f"an atlas is saved as {listed(KINDS)}, got {kind!r}")
        sheet = self._sheet(figure, smallest, logarithmic)
        if kind == "png":
            return sheet.png(key="nlviz.atlas", metadata=json.dumps(self.to_dict()))
        return sheet.vector("pdf" if kind == "pdf" else "svg", title=self.title)

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON can hold: clip, network, query, and every figure of every head."""
        clip = self.capture.clip
        return {
            "clip": {"name": clip.name, "digest": clip.digest, "shape": list(clip.shape)},
            "network": self.capture.about.name,
            "query": self.said,
            "figures": {
                name: {"label": figure_of(name).label, "definition": figure_of(name).definition}
                for name in self.figures
            },
            "heads": self.table(),
            "left_out": dict(self.left_out),
            "untold": dict(self.untold),
        }

    @property
    def title(self) -> str:
        """What it shows, in a line."""
        many = counted(len(self.places), "head")
        layers = counted(len(self.layers), "layer")
        return f"{self.capture.about.name} · {self.said} in {many} of {layers}"

    def picture(self, place: Place, *, zoom: int = 2, logarithmic: bool = False) -> Picture:
        """Return the tile of one head over the frames of the clip, (height, width, 3) uint8."""
        tiles = tiles_of(self, logarithmic=True) if logarithmic else self.tiles
        ground = self._ground(tiles, zoom)
        found: Picture = _drawn(tiles, tiles.layers[place.layer], [place.head], ground, zoom)[0]
        return found

    def pictures(self, *, zoom: int = 1, logarithmic: bool = False) -> list[Picture]:
        """Return the tiles of every layer, (heads, height, width, 3) uint8 each."""
        tiles = tiles_of(self, logarithmic=True) if logarithmic else self.tiles
        ground = self._ground(tiles, zoom)
        return [
            _drawn(tiles, layer, list(range(len(layer.shares))), ground, zoom)
            for layer in tiles.layers
        ]

    def _ground(self, tiles: Tiles, zoom: int) -> Picture:
        return ground_of(tiles.ground(self.capture.clip.frames, zoom))

    def _sheet(self, figure: str | None, smallest: bool, logarithmic: bool) -> Sheet:
        tiles = tiles_of(self, logarithmic=True) if logarithmic else self.tiles
        plan = _plan(self, tiles, self.ordered(figure, smallest=smallest), by=figure)
        notes = wrapped(" ".join(self._notes(tiles, figure)), 21, plan.content)
        foot = 112 + 31 * len(notes) + 10
        sheet = Sheet(plan.content + 2 * MARGIN, plan.bottom + foot + MARGIN // 2)
        title = shortened(self.title, 34, plan.content, bold=True)
        sheet.text((MARGIN, MARGIN + 32), title, 34, INK, bold=True)
        pictures = self.pictures(zoom=plan.zoom, logarithmic=logarithmic)
        values = _figures(self, figure)
        for spot in plan.spots:
            _draw_head(self, sheet, plan, spot, pictures, tiles, figure, values)
        for text, y in plan.labels:
            sheet.text((MARGIN, y), shortened(text, 19, LABEL - 12), 19, INK)
        _draw_scale(sheet, tiles.scale, plan.bottom + 24)
        for number, line in enumerate(notes):
            sheet.text((MARGIN, plan.bottom + 138 + 31 * number), line, 21, GREY)
        return sheet

    def _notes(self, tiles: Tiles, figure: str | None) -> list[str]:
        """Return what a reader must know of the picture, as sentences."""
        found = ["Every head on one colour scale; the query's own cell is left clear."]
        frames = self.capture.clip.shape[0]
        if any(not layer.named for layer in tiles.layers) and frames > 1:
            many = len(tiles.frames)
            found.append(
                f"A tile shows {many} of {frames} frames, row by row."
                if many < frames
                else f"A tile shows all {frames} frames, row by row."
            )
        if any(layer.apart is not None for layer in tiles.layers):
            found.append("The strip below a tile is of tokens without a place.")
        if figure is not None:
            what = figure_of(figure)
            found.append(f"Sorted by {what.label.lower()}: {what.definition}.")
            if figure in self.untold:
                found.append(f"Not told everywhere: {self.untold[figure].rstrip('.')}.")
        if self.left_out:
            few = len(self.left_out) < 4
            names = listed(self.left_out, "and") if few else counted(len(self.left_out), "layer")
            found.append(f"Without {names}, where this query is not.")
        return found

    def _repr_html_(self) -> str:
        shown = [self.picture(place) for place in self.places[:16]]
        captions = [_name(self, place) for place in self.places[:16]]
        return strip_html(shown, captions=captions, title=self.title)


def atlas(
    capture: Capture,
    query: Query,
    *,
    blocks: Sequence[str] | None = None,
    figures: Sequence[str] = OF_THE_ROW,
    progress: Listener | None = None,
) -> Atlas:
    """Return one query in every layer and head: maps on one colour scale, with figures.

    Args:
        capture: of the clip.
        query: a place (frame, y, x) in sampled frames and pixels, the name of a token or word, or
            a number on the grid.
        blocks: names of the layers; all by default.
        figures: names of the figures; by default those of the row alone. Others take passes over
            all rows or of the network.
        progress: told how much is done.

    Raises:
        UnknownBlock: when there is no layer of such a name.
        NlvizError: when no layer has such a query, or there is no such figure.

    >>> import nlviz
    >>> from nlviz.resources import asset
    >>> clip = nlviz.read_clip(asset("photos/coffee.jpg"), size=64)
    >>> found = nlviz.atlas(nlviz.load_model("lite-nl").capture(clip), (0, 20, 30))
    >>> found
    Atlas(frame 0, y 20, x 30, 2 layers, 2 heads)
    >>> found.ordered("effective")[0], sorted(found.table()[0])[:3]
    (Place(layer=1, head=0), ['block', 'effective', 'entropy'])
    """
    found = head_maps(capture, query, blocks=blocks, figures=figures, progress=progress)
    return Atlas(**{each.name: getattr(found, each.name) for each in fields(found)})


def _drawn(
    tiles: Tiles, layer: LayerTiles, heads: Sequence[int], ground: Picture, zoom: int
) -> Picture:
    """Return tiles as pictures, (n, height, width, 3)."""
    shares = layer.shares[list(heads)].repeat(zoom, 1).repeat(zoom, 2)
    below = np.full((*shares.shape[1:], 3), 40, np.uint8) if layer.named else ground
    index, opacity = _looked_up(shares, signed=tiles.scale.signed)
    out = below + opacity[..., None] * (index - below)
    nowhere = np.isnan(shares)
    out[nowhere] = 0.6 * out[nowhere] + 0.4 * 128
    if not layer.named and tiles.empty[0]:
        high, wide = (zoom * side for side in tiles.empty)
        out[:, -high:, -wide:] = 255  # the page, where there is no frame
    if layer.own is not None:
        top, left, bottom, right = (zoom * side for side in layer.own)
        frame = np.zeros(shares.shape[1:], bool)
        frame[top:bottom, left:right] = True
        if zoom > 1 and bottom - top > 2 and right - left > 2:
            frame[top + 1 : bottom - 1, left + 1 : right - 1] = False
        out[:, frame] = CYAN
    return np.asarray(out.round().clip(0, 255), np.uint8)


def _looked_up(
    shares: npt.NDArray[np.float32], *, signed: bool
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return the colour of shares and their opacity."""
    table = colour_table("diverging" if signed else "sequential").astype(np.float32)
    known = np.nan_to_num(shares)
    at = np.floor(((known + 1) / 2 if signed else known) * 255 + 0.5).astype(np.uint8)
    return table[at, :3], np.floor(STRENGTH * table[:, 3] + 0.5)[at] / 255


@dataclass(frozen=True)
class _Plan:
    """Where things lie on the page, in pixels.

    Attributes:
        spots: where each head is drawn.
        labels: names of layers, and their baselines.
        zoom: pixels of a tile's pixel.
        content: width between the margins.
        bottom: where the tiles end.
    """

    spots: tuple[Spot, ...]
    labels: tuple[tuple[str, int], ...]
    zoom: int
    content: int
    bottom: int


def _plan(atlas: Atlas, tiles: Tiles, order: Sequence[Place], *, by: str | None) -> _Plan:
    """Lay heads out: a row for each layer, or row by row in their order."""
    top = MARGIN + 62
    most = max(layer.heads for layer in atlas.layers)
    widest = max(layer.shares.shape[2] for layer in tiles.layers)
    matrix = by is None and most > 1
    room = 1728 - (LABEL if matrix else 0)
    columns = most if matrix else min(len(order), max(4, round(len(order) ** 0.5 * 1.2)))
    wanted = (room - (columns - 1) * GAP) / columns
    zoom = max(1, round(min(max(wanted, LEAST_TILE), MOST_TILE) / widest))
    zoom = max(1, min(zoom, (WIDEST - columns * GAP) // (columns * widest)))
    wide = max(zoom * widest, LEAST_TILE)
    spots: list[Spot] = []
    labels: list[tuple[str, int]] = []
    left = MARGIN + (LABEL if matrix else 0)
    if matrix:
        for number, layer in enumerate(atlas.layers):
            high = _high(tiles.layers[number], zoom)
            labels.append((atlas.names[layer.block], top + high // 2 + 6))
            for head in range(layer.heads):
                spots.append(Spot(Place(number, head), left + head * (wide + GAP), top))
            top += high + CAPTION + GAP
    else:
        for first in range(0, len(order), columns):
            row = order[first : first + columns]
            for n, place in enumerate(row):
                spots.append(Spot(place, left + n * (wide + GAP), top))
            top += max(_high(tiles.layers[place.layer], zoom) for place in row) + CAPTION + 24
    content = max(left - MARGIN + columns * (wide + GAP) - GAP, LEAST_PAGE)
    return _Plan(tuple(spots), tuple(labels), zoom, content, top)


def _high(layer: LayerTiles, zoom: int) -> int:
    high = FLAT if layer.named else zoom * layer.shares.shape[1]
    return high + (STRIP + 2 if layer.apart is not None else 0)


def _figures(atlas: Atlas, figure: str | None) -> dict[Place, float]:
    """Return a figure of every head as a share of the largest; empty where there is none."""
    if figure is None:
        return {}
    values = {place: atlas.value(place, figure) for place in atlas.places}
    known = {place: value for place, value in values.items() if value is not None}
    most = max((abs(value) for value in known.values()), default=0.0) or 1.0
    return {place: abs(value) / most for place, value in known.items()}


def _draw_head(
    atlas: Atlas,
    sheet: Sheet,
    plan: _Plan,
    spot: Spot,
    pictures: Sequence[Picture],
    tiles: Tiles,
    figure: str | None,
    values: dict[Place, float],
) -> None:
    place, left, top = spot
    layer = tiles.layers[place.layer]
    picture = pictures[place.layer][place.head]
    wide = picture.shape[1]
    high = FLAT if layer.named else picture.shape[0]
    sheet.picture(picture, (left, top, left + wide, top + high))
    y = top + high
    if layer.apart is not None:
        strip = overlay_frame(
            np.full((1, layer.apart.shape[1], 3), 40, np.uint8),
            layer.apart[place.head][None],
            strength=STRENGTH,
            signed=tiles.scale.signed,
        )
        long = min(wide, TOKEN * strip.shape[1])
        sheet.picture(strip, (left, y + 2, left + long, y + 2 + STRIP))
        y += 2 + STRIP
    if figure is None:
        name = str(place.head + 1) if plan.labels else _name(atlas, place)
        sheet.text((left, y + 20), shortened(name, 18, wide), 18, GREY)
        return
    share = values.get(place)
    sheet.box((left, y + 4, left + wide, y + 9), fill=RULE)
    if share is not None:
        colour = tuple(round(a + share * (b - a)) for a, b in zip(LOW, HIGH, strict=True))
        length = max(wide * share, 2)
        sheet.box((left, y + 4, left + length, y + 9), fill=(colour[0], colour[1], colour[2]))
    what = figure_of(figure).text(atlas.value(place, figure))
    sheet.text((left + wide, y + 28), what, 18, INK, align="r")
    name = shortened(_name(atlas, place), 18, wide - width(what, 18) - 6)
    sheet.text((left, y + 28), name, 18, GREY)


def _name(atlas: Atlas, place: Place) -> str:
    layer = atlas.layers[place.layer]
    name = atlas.names[layer.block]
    return f"{name} · {place.head + 1}" if layer.heads > 1 else name


def _draw_scale(sheet: Sheet, scale: Scale, top: int) -> None:
    """Draw the colour bar with its ends."""
    shares = np.linspace(-1.0 if scale.signed else 0.0, 1.0, 600, dtype=np.float32)
    ramp = overlay_frame(
        np.full((24, 600, 3), 128, np.uint8),
        np.broadcast_to(shares, (24, 600)),
        strength=STRENGTH,
        signed=scale.signed,
    )
    what = "Cosine similarity" if scale.alike else "Weight, × uniform attention"
    sheet.text((MARGIN, top + 22), what + (" · logarithmic" * scale.logarithmic), 21, INK)
    sheet.picture(ramp, (MARGIN, top + 34, MARGIN + 600, top + 58))
    low, high = scale.ends
    sheet.text((MARGIN, top + 84), low, 21, INK)
    sheet.text((MARGIN + 600, top + 84), high, 21, INK, align="r")
