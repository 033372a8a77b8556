"""Measures one clip: one forward pass, then what every head does at the sampled queries."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch

from nlviz.affinity.base import Affinity
from nlviz.affinity.reach import asks_without_place
from nlviz.captures.capture import Capture
from nlviz.captures.model import Model
from nlviz.captures.running import told
from nlviz.clips.clip import Clip
from nlviz.errors import NlvizError
from nlviz.surveys.figures import FIGURES
from nlviz.surveys.measuring.branch import Branches
from nlviz.surveys.measuring.cuts import bypass_change, knock_outs
from nlviz.surveys.measuring.likeness import Likeness, Patches
from nlviz.surveys.measuring.many import enough, many_queries, shared_mass
from nlviz.surveys.measuring.nearest import feature_cosines, likeness
from nlviz.surveys.measuring.parts import unary_shares
from nlviz.surveys.measuring.places import cells_at, drawn_slots, in_clip, slots
from nlviz.surveys.measuring.position import Positions
from nlviz.surveys.measuring.rows import Asked, row_figures
from nlviz.surveys.measuring.sinks import found_sinks, on_sinks, sink_places
from nlviz.surveys.options import SurveyOptions
from nlviz.surveys.schema import ROWS

Columns = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Measured:
    """What a survey knows of one clip.

    Attributes:
        rows: of the schema ``ROWS``.
        prediction: the most probable class; None without class scores.
        probability: of it.
        notes: what a reader must know of the clip, of the pass and of what is not there.
        seconds: that all of it took.
    """

    rows: pa.Table
    prediction: str | None
    probability: float | None
    notes: tuple[str, ...]
    seconds: float


class Measurer:
    """Measures clips with one network; what it says of a clip depends on no other clip.

    Args:
        model: the network.
        options: of the survey.
        folder: of the survey, where mean rows by position are kept; None keeps them in memory.

    Raises:
        NlvizError: when the network takes no clips, or a figure or a block is not there.

    >>> import nlviz
    >>> from nlviz.resources import asset
    >>> clip = nlviz.read_clip(asset("photos/coffee.jpg"), size=64)
    >>> options = SurveyOptions(queries=4, without=("position",))
    >>> found = Measurer(nlviz.load_model("lite-nl"), options).measure(clip)
    >>> found.rows.num_rows, found.prediction
    (8, 'eggnog')
    """

    def __init__(
        self, model: Model, options: SurveyOptions | None = None, folder: Path | None = None
    ) -> None:
        self.model, self.folder = model, folder
        self.options = options = options or SurveyOptions()
        check_takes_clips(model)
        unknown = [name for name in options.without if name not in FIGURES]
        if unknown:
            raise NlvizError(
                f"a survey leaves out figures by name, {', '.join(FIGURES)}; got {unknown[0]!r}"
            )
        for block in options.blocks:
            model.known(block)
        self.figures = tuple(
            name
            for name, figure in FIGURES.items()
            if name not in options.without
            and (not figure.on_request or getattr(options, figure.on_request))
        )
        self._positions = Positions(model, options, folder)

    def measure(self, clip: Clip) -> Measured:
        """Return the rows of a clip, one for each block, head and sampled query.

        Args:
            clip: as it was read for this network.

        Raises:
            OutOfMemory: when memory does not suffice.
            NlvizError: when the network does not take this clip.
        """
        began = time.perf_counter()
        branches = Branches(self.model)
        with _threads(self.options.threads), torch.no_grad():
            capture = self.model.capture(
                clip, blocks=self.options.blocks or None, during=branches.watching
            )
            with told(self.model.net, str(self.model.device), clip.shape):
                rows, notes = self._rows(capture, branches)
        best = capture.prediction(1)
        label, probability = best[0] if best else (None, None)
        return Measured(
            rows=rows,
            prediction=label,
            probability=probability,
            notes=tuple(dict.fromkeys((*clip.notes, *capture.all_notes, *notes))),
            seconds=time.perf_counter() - began,
        )

    def _rows(self, capture: Capture, branches: Branches) -> tuple[pa.Table, list[str]]:
        shape = capture.clip.shape
        options = self.options
        shares = slots(shape[0], options.queries, options.seed)
        drawn = drawn_slots(options.queries, options.seed, capture.clip.digest)
        places = in_clip(shares[np.arange(options.queries), drawn], shape)
        parts: list[pa.Table] = []
        notes: list[str] = []
        patches = Patches.of(capture.clip) if "nl_means" in self.figures else None
        for block, affinity in capture.affinities.items():
            why = not_surveyed(affinity)
            if why:
                notes.append(f"{block} has no rows here: {why}.")
                continue
            cells = cells_at(affinity.queries, places, options.queries)
            asked = Asked.of(affinity, cells)
            columns = self._block(capture, block, asked, patches, notes)
            columns["branch"] = branches.size(capture, block)
            parts.append(_table(capture.clip.digest, block, asked, columns, self.figures))
        if not parts:
            return ROWS.empty_table(), notes
        return pa.concat_tables(parts), notes

    def _block(
        self, capture: Capture, block: str, asked: Asked, patches: Patches | None, notes: list[str]
    ) -> Columns:
        """Return all figures of a block: of queries (heads, n), of heads (heads, 1), or one."""
        wanted = self.figures
        found: Columns = dict(row_figures(asked, capture.clip.times))
        many = many_queries(asked)
        found["shared"] = shared_mass(asked, many)
        found["query_distance"] = many.distance[:, None]
        if enough(many):
            sinks = found_sinks(asked, many)
            found["sink"] = on_sinks(sinks, asked)
            found["concentration"] = sinks.concentration[:, None]
            found["sinks"] = places = sink_places(sinks)
            values = [math.nan if place.value is None else place.value for place in places]
            found["sink_value"] = torch.tensor(values)[:, None]
        if "unary" in wanted:
            found["unary"] = unary_shares(asked, many)
        alike = Likeness(patches, asked)
        if "features" in wanted or "likeness" in wanted:
            cosine, why = feature_cosines(capture, asked, block)
            notes += [why] if why else []
            if cosine is not None:
                found["features"] = alike.features(cosine) if "features" in wanted else None
                found["likeness"] = likeness(asked, cosine) if "likeness" in wanted else None
        if "nl_means" in wanted:
            found["nl_means"] = alike.nl_means(found["effective"])
        if "position" in wanted:
            found["position"], why = self._positions.explained(capture, block, asked)
            notes += [why] if why else []
        if "knock_out" in wanted or "knock_out_random" in wanted:
            cuts, missing = knock_outs(capture, block, asked)
            notes += missing
            if cuts is not None:
                found["knock_out"], found["knock_out_random"] = cuts
        if "bypass" in wanted:
            found["bypass"], missing = bypass_change(self.model, capture, block)
            notes += missing
        receipt = capture.receipts.get(block)
        found["receipt"] = None if receipt is None else receipt.error
        _leave_out(found, asked, block, notes)
        return found


def _leave_out(found: Columns, asked: Asked, block: str, notes: list[str]) -> None:
    """Take out what was computed of rows that are empty, or hold what is not a number, and tell."""
    low, high = asked.rows.amin(-1).cpu(), asked.rows.amax(-1).cpu()  # what is no number is both
    bad, empty = ~(low.isfinite() & high.isfinite()), (low == 0) & (high == 0)
    if not asked.affinity.distributes:
        found["empty"] = empty
    untold = bad | empty
    if not bool(untold.any()):
        return
    for name, figure in FIGURES.items():
        value = found.get(name)
        if figure.of == "query" and value is not None and name != "empty":
            value = torch.as_tensor(value).detach().cpu().double()
            found[name] = value.masked_fill(untold, torch.nan)
    if not bool(bad.any()):
        return
    notes.append(
        f"{int(bad.any(0).sum())} of {len(asked.index)} sampled rows of {block} hold infinity or "
        "what is not a number; nothing is told of them."
    )


def check_takes_clips(model: Model) -> None:
    """Refuse a network whose input is no clip.

    Raises:
        NlvizError: when it takes texts or graphs alone, or boxes beside a clip.
    """
    if "clip" not in model.inputs:
        takes = " and ".join({"text": "texts", "graph": "graphs"}.get(i, i) for i in model.inputs)
        raise NlvizError(
            f"a survey is over clips, {model.about.name} takes {takes}; take a network of clips or "
            "pictures, nlviz models lists them"
        )


def not_surveyed(affinity: Affinity) -> str:
    """Return why a block has no rows in a survey, as a clause, or an empty text."""
    if affinity.row_values != "weights":
        return "its rows hold no weights"
    if asks_without_place(affinity):
        return "its queries are tokens without a place in the clip"
    if not affinity.queries.size or not affinity.keys.size + affinity.keys.prefix:
        return "it has no queries or no keys on this clip"
    return ""


def _table(
    digest: str, block: str, asked: Asked, columns: Columns, figures: tuple[str, ...]
) -> pa.Table:
    """Return the rows of a block: heads one after another, their queries in order."""
    heads, n = asked.rows.shape[:2]
    grid = asked.affinity.queries
    centres = [np.broadcast_to(c, grid.shape).ravel() for c in grid.centres()]
    cells = asked.index.cpu().numpy()
    frame, y, x = (np.tile(c[cells], heads) for c in centres)
    sinks = columns.get("sinks")
    arrays: dict[str, Any] = {
        "digest": [digest] * (heads * n),
        "block": [block] * (heads * n),
        "head": np.repeat(np.arange(heads), n),
        "query": np.tile(cells, heads),
        "frame": frame,
        "y": y,
        "x": x,
        "keys": asked.counts.expand(heads, n).flatten().cpu().numpy(),
    }
    for name, of in (
        ("sink_kind", "kind"),
        ("sink_key", "said"),
        ("sink_frame", "frame"),
        ("sink_y", "y"),
        ("sink_x", "x"),
    ):
        each = [None] * heads if sinks is None else [getattr(s, of) for s in sinks]
        arrays[name] = [value for value in each for _ in range(n)]
    for name in FIGURES:
        value = columns.get(name) if name in figures else None
        arrays[name] = _numbers(value, heads, n)
    return pa.table([pa.array(arrays[field.name], field.type) for field in ROWS], schema=ROWS)


def _numbers(value: Any, heads: int, n: int) -> pa.Array:
    """Return a column of numbers, null where there is none, or it is not finite."""
    if value is None:
        return pa.nulls(heads * n, pa.float32())
    found: npt.NDArray[np.float32] = np.broadcast_to(
        torch.as_tensor(value).detach().cpu().float().numpy(), (heads, n)
    ).ravel()
    return pa.array(found, pa.float32(), mask=~np.isfinite(found))


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Compute with so many threads: sums of others have other bits."""
    before = torch.get_num_threads()
    if before == count:
        yield
        return
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
