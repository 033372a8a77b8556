"""Means over the queries of each clip, for every head and figure: what a report rests on.

Rows are read batch by batch and added up with numpy, so that memory follows the means, clips x
heads x figures, and not the rows. Where these would be more than ``MOST_VALUES``, as many clips as
fit are taken: those whose digests come first in order, which is a draw by chance, for a digest is
one, and the same draw for every survey of these clips.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nlviz.errors import NlvizError
from nlviz.surveys.figures import FIGURES

if TYPE_CHECKING:
    import pyarrow as pa

MOST_VALUES = 1 << 26  # clips x heads x figures that are kept: 0.8 GB while they are added up
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class ClipMeans:
    """The mean of each figure over the queries of each clip, per head.

    Attributes:
        digests: of the clips, in order.
        heads: (block, head) in the order of the network's blocks.
        figures: names of those that have any value.
        values: (clips, heads, figures); not a number where it cannot be told.
        rows: number of rows that were read.
        left_out: number of clips that were not read, as there are too many.
        strangers: number of rows whose clip is not known.
        infinite: number of values by figure that are infinite, and count as not told.
    """

    digests: tuple[str, ...]
    heads: tuple[tuple[str, int], ...]
    figures: tuple[str, ...]
    values: Floats
    rows: int = 0
    left_out: int = 0
    strangers: int = 0
    infinite: Mapping[str, int] | None = None

    def of(self, figure: str) -> Floats:
        """Return one figure, (clips, heads); not a number everywhere where it was not measured."""
        if figure not in self.figures:
            return np.full(self.values.shape[:2], np.nan, np.float32)
        return self.values[..., self.figures.index(figure)]

    @property
    def key(self) -> int:
        """A number that follows from the clips: seeds of what is drawn over them."""
        return int(hashlib.sha256("".join(self.digests).encode()).hexdigest()[:12], 16)


def batches(rows: Any, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Yield the batches of a table or a dataset, of the named columns only."""
    if hasattr(rows, "scanner"):
        yield from rows.to_batches(columns=list(columns))
    else:
        yield from rows.select(list(columns)).to_batches(max_chunksize=1 << 17)


def clip_means(rows: Any, digests: Sequence[str], *, most: int = MOST_VALUES) -> ClipMeans:
    """Read all rows once and return the means of each clip.

    Args:
        rows: a ``pyarrow.Table`` or ``pyarrow.dataset.Dataset`` like ``schema.ROWS``.
        digests: of the clips that count; rows of others are counted as strangers.
        most: values that are kept at most.

    Raises:
        NlvizError: when a column that tells rows apart is missing.
    """
    missing = [name for name in ("digest", "block", "head") if name not in rows.schema.names]
    if missing:
        raise NlvizError(f"rows of a survey have a column {missing[0]!r}; these have none")
    figures = [name for name in FIGURES if name in rows.schema.names]
    known = sorted(set(digests))
    sums = _Sums(known, figures, most)
    for batch in batches(rows, ["digest", "block", "head", *figures]):
        if batch.num_rows:
            sums.add(batch)
    return sums.means()


class _Sums:
    """Sums and numbers of values by clip, head and figure, that grow as heads are met."""

    def __init__(self, digests: list[str], figures: list[str], most: int) -> None:
        self.digests, self.figures, self.most = digests, figures, most
        self.clip = {digest: n for n, digest in enumerate(digests)}
        self.blocks: list[str] = []
        self.slots: dict[tuple[str, int], int] = {}
        self.sums = np.zeros((len(digests), 0, len(figures)))
        self.counts = np.zeros(self.sums.shape, np.int32)
        self.rows = self.strangers = 0
        self.infinite = np.zeros(len(figures), np.int64)
        self.seen = np.zeros(len(digests), bool)

    def add(self, batch: pa.RecordBatch) -> None:
        """Add the rows of a batch: neighbours of one clip and head are summed, then added."""
        digest, digests = coded(batch.column("digest"))
        block, blocks = coded(batch.column("block"))
        head = batch.column("head").to_numpy(zero_copy_only=False).astype(np.int64)
        changes = (np.diff(digest) != 0) | (np.diff(block) != 0) | (np.diff(head) != 0)
        starts = np.concatenate([[0], np.flatnonzero(changes) + 1])
        lengths = np.diff(np.append(starts, len(head)))
        clip = np.array([self.clip.get(name, -1) for name in digests], np.int64)[digest[starts]]
        self._meet(clip, block[starts], blocks, head[starts])
        slot = self._slots(block[starts], blocks, head[starts])
        self.rows += batch.num_rows
        self.strangers += int(lengths[clip < 0].sum())
        kept = (clip >= 0) & (clip < len(self.sums))
        if not kept.any():
            return
        self.seen[clip[kept]] = True
        values = np.stack([floats(batch.column(name)) for name in self.figures], 1)
        infinite = np.isinf(values)
        if infinite.any():
            self.infinite += infinite.sum(0)
        told = np.isfinite(values)
        sums = np.add.reduceat(np.where(told, values, 0.0), starts)[kept]
        counts = np.add.reduceat(told.astype(np.int32), starts)[kept]
        np.add.at(self.sums, (clip[kept], slot[kept]), sums)
        np.add.at(self.counts, (clip[kept], slot[kept]), counts)

    def _meet(
        self,
        clip: npt.NDArray[np.int64],
        block: npt.NDArray[np.int64],
        blocks: list[str],
        head: npt.NDArray[np.int64],
    ) -> None:
        """Make room for heads that were not met before; blocks keep the order of the network."""
        for b, h in np.unique(np.stack([block, head], 1), axis=0).tolist():
            self.slots.setdefault((blocks[b], h), len(self.slots))
        numbers, firsts = np.unique(block, return_index=True)
        for first, number in sorted(zip(firsts.tolist(), numbers.tolist(), strict=True)):
            name = blocks[number]
            if name in self.blocks:
                continue
            # After the block that stands before it in the same clip, whose blocks are in order.
            self._insert(name, [blocks[b] for b in block[:first][clip[:first] == clip[first]]])
        if len(self.slots) > self.sums.shape[1]:
            fits = self.most // (len(self.slots) * len(self.figures))
            clips = min(len(self.sums), max(fits, 1))
            shape = (clips, len(self.slots), len(self.figures))
            for name in ("sums", "counts"):
                old = getattr(self, name)
                new = np.zeros(shape, old.dtype)
                new[:, : old.shape[1]] = old[:clips]
                setattr(self, name, new)

    def _insert(self, name: str, before: list[str]) -> None:
        at = [self.blocks.index(other) for other in before if other in self.blocks]
        self.blocks.insert(max(at) + 1 if at else 0 if before else len(self.blocks), name)

    def _slots(
        self, block: npt.NDArray[np.int64], blocks: list[str], head: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.int64]:
        pairs, inverse = np.unique(np.stack([block, head], 1), axis=0, return_inverse=True)
        slots = [self.slots[blocks[b], h] for b, h in pairs.tolist()]
        return np.array(slots, np.int64)[inverse.reshape(-1)]

    def means(self) -> ClipMeans:
        """Return the means of clips that have any row, heads in the order of the network."""
        heads = sorted(self.slots, key=lambda key: (self.blocks.index(key[0]), key[1]))
        order = [self.slots[key] for key in heads]
        with np.errstate(invalid="ignore"):
            values = (self.sums / self.counts).astype(np.float32)[:, order]
        figures = [n for n in range(len(self.figures)) if np.isfinite(values[..., n]).any()]
        read = self.seen[: len(values)]
        return ClipMeans(
            tuple(d for d, any_row in zip(self.digests, read.tolist(), strict=False) if any_row),
            tuple(heads),
            tuple(self.figures[n] for n in figures),
            values[read][..., figures],
            self.rows,
            len(self.digests) - len(self.sums),
            self.strangers,
            {self.figures[n]: int(self.infinite[n]) for n in np.flatnonzero(self.infinite)},
        )


def coded(column: pa.Array) -> tuple[npt.NDArray[np.int64], list[str]]:
    """Return a column of texts as numbers of a list of them; the list is short, the column long."""
    coded = column if hasattr(column, "dictionary") else column.dictionary_encode()
    return coded.indices.to_numpy(zero_copy_only=False).astype(np.int64), (
        coded.dictionary.to_pylist()
    )


def floats(column: pa.Array) -> npt.NDArray[np.float64]:
    """Return a column of numbers; nulls are not a number."""
    values: npt.NDArray[np.float64] = column.to_numpy(zero_copy_only=False).astype(np.float64)
    return values
