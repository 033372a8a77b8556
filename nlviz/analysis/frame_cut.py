"""Links between frames are cut for all queries of a block, or of all blocks, beside as many others.

Of each row as many links are cut at random, each as likely as any other: as many in the mean over
draws. The network runs again once for the cut and once for each draw; what changes is told as in
``knock_out``, but for the block's output, of which there is one for every query.

Cutting what frames give each other, in chosen layers: Kim et al. 2025, "Map the Flow"
(arXiv 2510.13251).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from nlviz.affinity.asked import rows_at
from nlviz.affinity.base import Affinity
from nlviz.analysis.control_edges import reached_keys
from nlviz.analysis.cut_passes import NO_NETWORK, NO_SCORES, Passes, figures_of
from nlviz.analysis.knocked_out import Control, Cut, KnockOut
from nlviz.captures.capture import Capture
from nlviz.errors import NlvizError
from nlviz.interventions.change import RowChange, Rows
from nlviz.interventions.rerun import Rerun
from nlviz.interventions.rows import CutFrames
from nlviz.interventions.sharp_rows import shared_out
from nlviz.progress import Listener, Progress
from nlviz.sentences import listed

SEEDS = 4
SAMPLE = 32  # queries, spread evenly, over which the weight on what is cut is taken
Frames = Literal["other"] | tuple[int, ...]


@dataclass(frozen=True)
class CutAsMany(RowChange):
    """As many links of each row as another cut takes away, in the mean, drawn at random.

    Attributes:
        like: the cut whose number of links is taken.
        seed: of the draw.
    """

    like: CutFrames
    seed: int
    heads: tuple[int, ...] | None = None

    @property
    def block(self) -> str:  # type: ignore[override]
        """Name of the block."""
        return self.like.block

    @property
    def said(self) -> str:
        """What is changed, as a clause."""
        return f"as many random edges of {self.block} are cut as where {self.like.said}"

    def numbers(self, affinity: Affinity) -> Int[Tensor, " n"] | None:
        """Return the queries; None for all."""
        return self.like.numbers(affinity)

    def changed(self, rows: Rows) -> Float[Tensor, "heads n columns"]:
        """Return the rows without these links, the same ones in every head."""
        held = _reached(rows.affinity, rows.numbers)
        gone = self.like.mask(rows.affinity, rows.numbers.cpu()) & held
        share = gone.sum(1) / held.sum(1).clamp(min=1)
        first = int(rows.numbers[0]) if len(rows.numbers) else 0
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + first)
        # Each link as likely as any other: exact numbers would take sorting every row.
        drawn = torch.rand(len(rows.numbers), len(rows.keys), generator=generator)
        return shared_out(rows, drawn < share[:, None])


def knock_out_frames(
    capture: Capture,
    blocks: str | Sequence[str] | None = None,
    *,
    frames: Frames = "other",
    seeds: int = SEEDS,
    progress: Listener | None = None,
) -> KnockOut:
    """Cut links between frames, of all queries, and tell what the network answers then.

    Args:
        capture: of the clip.
        blocks: names of the blocks; by default all whose queries reach other frames.
        frames: ``"other"`` cuts what frames give each other; numbers of frames of the key grid cut
            all links to these.
        seeds: how many draws of as many other links.
        progress: called with a sentence and a share in [0, 1]; an exception it raises stops it.

    Raises:
        UnknownBlock: when there is no such block.
        NlvizError: when no block has such links, or there is no network or answer.

    >>> import nlviz
    >>> from nlviz.resources import asset
    >>> clip = nlviz.read_clip(asset("clips/composed-twins.mp4"), frames=2, size=96)
    >>> capture = nlviz.load_model("lite-nl").capture(clip)
    >>> found = knock_out_frames(capture, "stage4", seeds=2)
    >>> found.links, found.cut.logits > 0, len(found.control("random").cuts)
    ('all cross-frame links of stage4', True, 2)
    """
    if capture.model is None:
        raise NlvizError(NO_NETWORK.removesuffix("."))
    if capture.logits is None:
        raise NlvizError(NO_SCORES.removesuffix("."))
    if seeds < 1:
        raise NlvizError(f"a control is drawn at least once, got seeds={seeds}")
    names = [blocks] if isinstance(blocks, str) else list(blocks or capture.affinities)
    masks = {name: _sampled(capture.affinities[name], CutFrames(name, frames)) for name in names}
    found = {name: share for name, share in masks.items() if share is not None}
    if not found:
        raise NlvizError(
            f"no query of {listed(names, 'or')} reaches "
            + ("another frame" if frames == "other" else f"frames {listed(map(str, frames))}")
            + ", so there is no link to cut"
        )
    cuts = [CutFrames(name, frames) for name in found]
    tell, before = Progress.of(progress), capture.logits.double()
    independent = capture.about.independent
    weight, chance = (sum(column) / len(found) for column in zip(*found.values(), strict=True))
    told = []
    with Rerun(capture) as rerun:
        for n in range(seeds + 1):
            tell(f"Running the network, cut {n + 1} of {seeds + 1}", n / (seeds + 1))
            changes = cuts if n == 0 else [CutAsMany(cut, n - 1) for cut in cuts]
            after = rerun.run(*changes, keep=False).logits
            assert after is not None
            figures = figures_of(before, after.double(), independent)
            told.append(Cut((), chance if n else weight, **figures))
    every = len(found) > 1 and blocks is None
    of = "all blocks" if every and len(found) > 2 else listed(found, "and")
    what = "all cross-frame links"
    if frames != "other":
        plural = "frames" if len(frames) > 1 else "frame"
        what = f"all links to {plural} {listed(map(str, frames), 'and')}"
    left = [name for name in names if name not in found]
    notes = [f"{listed(left, 'and')} have no such links."] if left and blocks is not None else []
    passes = Passes.of(capture)
    empty = torch.zeros(1, 0)
    return KnockOut(
        block=listed(found, "and"),
        query="all queries",
        number=-1,
        links=f"{what} of {of}",
        cut=told[0],
        controls=(Control("random", tuple(told[1:])),),
        row=empty,
        row_after=empty,
        shared=True,
        heads=None,
        label=passes.label,
        probability=passes.probability,
        single=(),
        greedy=None,
        notes=tuple(notes),
    )


def _sampled(affinity: Affinity, cut: CutFrames) -> tuple[float, float] | None:
    """Return shares of rows that lie on what is cut, and of links; None where there are none.

    Over some queries. The share of the links is what a random cut takes of a row, in the mean.

    Raises:
        NlvizError: when keys lie on no frames, or there is no such frame.
    """
    grid = affinity.keys
    if grid.kind != "grid" or (grid.shape[0] < 2 and cut.frames == "other"):
        return None
    cut.numbers(affinity)
    numbers = affinity.evenly(SAMPLE).cpu() + affinity.queries.prefix
    held = _reached(affinity, numbers) & cut.mask(affinity, numbers)
    if not bool(held.any()):
        return None
    rows = rows_at(affinity, numbers).float().cpu().abs().mean(0)
    whole = rows.sum(-1).clamp(min=1e-30)
    count = _reached(affinity, numbers).sum(-1).clamp(min=1)
    return float(((rows * held).sum(-1) / whole).mean()), float((held.sum(-1) / count).mean())


def _reached(affinity: Affinity, numbers: Tensor) -> Bool[Tensor, "n all_keys"]:
    """Return which keys queries reach, those without a place first."""
    index = numbers.cpu() - affinity.queries.prefix
    every = torch.ones(len(index), affinity.keys.prefix + affinity.keys.size, dtype=torch.bool)
    placed = index >= 0
    mask = affinity.support.mask_all(affinity.queries, affinity.keys, index[placed])
    if mask is not None:
        every[placed] = mask.cpu()
    for n in (~placed).nonzero()[:, 0].tolist():
        every[n] = False
        every[n, reached_keys(affinity, int(numbers[n]))] = True
    return every
