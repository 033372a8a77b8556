"""Sinks: keys that receive much from all queries, and what a head does with them.

A head may give most of its weight to one key whatever is asked. Two things that it does so are told
apart by what lies there: a value of next to no size switches the head off for these queries, a
value of ordinary size is broadcast to all of them, and the head's output is nearly the same vector
everywhere (Fesser et al. 2026, arXiv 2606.08105; sinks: Xiao et al. 2023, arXiv 2309.17453).

number             definition, per head
``multiple``       c_j, column sum of key j over what uniform rows would give it (``columns``)
``concentration``  max_j c_j / median_j c_j
``value_ratio``    |v_s| / median_j |v_j| at the key s that receives most
``output_size``    mean_i |y_i| / median_j |v_j|, y = A V, over the queries that reach s
``rank_output``    effective rank of A V: exp(entropy of its singular values over their sum),
                   1 to its number of channels; not centred, so that one vector for all gives 1
                   (Roy and Vetterli 2007, "The effective rank", EUSIPCO)
``rank_values``    the same of V

The rules, with their numbers, are the constants below; these are not published thresholds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from nlviz.affinity.attention_map import AttentionMap
from nlviz.affinity.columns import MUCH
from nlviz.affinity.grid import TokenGrid
from nlviz.errors import NlvizError, UnknownBlock, did_you_mean
from nlviz.sentences import fixed

SINK = 10.0  # times uniform from which a key that receives so much may be called a sink
SHARE = 0.3  # or of all weight: that of Gu et al. 2024 (arXiv 2410.10781), of three times uniform
MOST = 0.5  # of the queries that reach it must give it three times uniform or more
FEW = 4  # queries below which nothing can be said to be common to all
OFF = 0.25  # size of its value against the median's below which it switches the head off
BROADCAST = 0.5  # effective rank of A V against that of V below which it broadcasts

Kind = Literal["none", "off", "broadcast", "neither", "unknown"]


@dataclass(frozen=True, eq=False)
class BlockSinks:
    """What the keys of one block receive, and what its heads do with it.

    Keys are numbered with those without a place first.

    Attributes:
        block: its name.
        keys: where the keys lie.
        names: what the keys without a place are called, one for each.
        multiple: c_j, (heads, all_keys); not a number for a key that no query reaches.
        share: of all weight, (heads, all_keys).
        given: part of the queries that give a key three times uniform or more, (heads, all_keys).
        concentration: (heads,); infinite where the median key receives nothing.
        value_norms: |v_j|, (heads, all_keys); None where values are not known.
        output_size, rank_output, rank_values: (heads,); None likewise.
        queries: number of queries that were counted.
        note: a sentence on what is not known, or empty.
    """

    block: str
    keys: TokenGrid
    names: tuple[str, ...]
    multiple: Float[Tensor, "heads all_keys"]
    share: Float[Tensor, "heads all_keys"]
    given: Float[Tensor, "heads all_keys"]
    concentration: Float[Tensor, " heads"]
    value_norms: Float[Tensor, "heads all_keys"] | None
    output_size: Float[Tensor, " heads"] | None
    rank_output: Float[Tensor, " heads"] | None
    rank_values: Float[Tensor, " heads"] | None
    queries: int
    note: str = ""

    @property
    def value_ratio(self) -> Float[Tensor, " heads"] | None:
        """|v_s| over the median |v_j|, s the strongest sink, or key, of each head."""
        norms = self.value_norms
        if norms is None:
            return None
        own = norms[torch.arange(self.heads), list(self.strongest)]
        return own / norms.quantile(0.5, -1).clamp(min=1e-300)

    @property
    def heads(self) -> int:
        """Number of heads."""
        return len(self.multiple)

    @property
    def strongest(self) -> tuple[int, ...]:
        """Number of each head's strongest sink, or where it has none of the key of largest c_j."""
        largest = self.multiple.nan_to_num(-1.0).argmax(-1).tolist()
        return tuple((*self.sinks_of(h), *largest[h : h + 1])[0] for h in range(self.heads))

    def sinks_of(self, head: int) -> tuple[int, ...]:
        """Return the numbers of a head's sinks, strongest first; the rule is in the constants."""
        if self.queries < FEW:
            return ()
        multiple = self.multiple[head].nan_to_num(0.0)
        much = (multiple >= SINK) | ((self.share[head] >= SHARE) & (multiple >= MUCH))
        much &= self.given[head] >= MOST
        found = much.nonzero()[:, 0]
        order = (-multiple[found]).argsort(stable=True)
        return tuple(found[order].tolist())

    def kind(self, head: int) -> Kind:
        """Return what a head does with its strongest sink.

        ``none``: it has no sink. ``off``: the value there is next to nothing, so the head switches
        itself off. ``broadcast``: all queries get nearly the same vector. ``neither`` of both.
        ``unknown``: values are not known, or queries are too few.
        """
        found = self.sinks_of(head)
        if not found:
            return "none" if self.queries >= FEW else "unknown"
        if self.value_ratio is None or self.rank_output is None or self.rank_values is None:
            return "unknown"
        if float(self.value_ratio[head]) < OFF:
            return "off"
        low = float(self.rank_output[head]) < BROADCAST * float(self.rank_values[head])
        return "broadcast" if low else "neither"

    def on_sinks(self, rows: Float[Tensor, "heads n all_keys"]) -> Float[Tensor, "heads n"]:
        """Return the share of each of some rows that lies on the sinks of its head, in [0, 1].

        Args:
            rows: as ``Affinity.rows`` gives them.
        """
        size = rows.detach().cpu().double().abs()
        on = torch.zeros_like(self.share, dtype=torch.bool)
        for head in range(self.heads):
            on[head, list(self.sinks_of(head))] = True
        total = size.sum(-1).clamp(min=1e-300)
        found: Tensor = (size * on[:, None].to(size)).sum(-1) / total
        return found

    def map(self, head: int | None = None) -> AttentionMap:
        """Return what each key receives from all queries, laid on the picture: the mean row.

        Args:
            head: one head's; by default the mean over heads.
        """
        if head is not None and not 0 <= head < self.heads:
            raise NlvizError(f"head must be between 0 and {self.heads - 1}, got {head}")
        share = self.share.mean(0) if head is None else self.share[head]
        apart, placed = share[: self.keys.prefix], share[self.keys.prefix :]
        own = "" if head is None or self.heads == 1 else f", head {head}"
        return AttentionMap(
            weights=placed.float().numpy().reshape(self.keys.shape),
            query=(0.0, 0.0, 0.0),
            keys=self.keys,
            off_grid=float(apart.sum()),
            off_weights=apart.float().numpy() if len(apart) else None,
            title=f"{self.block}{own}, what each key receives from all queries",
            name=self.block,
            token="all queries",
        )

    def table(self) -> list[dict[str, Any]]:
        """Return a record for each head: plain numbers, None where one is not known."""
        return [self._record(head) for head in range(self.heads)]

    def _record(self, head: int) -> dict[str, Any]:
        key = self.strongest[head]

        def of(figure: Tensor | None) -> float | None:
            value = None if figure is None else float(figure[head])
            return value if value is None or np.isfinite(value) else None

        return {
            "block": self.block,
            "head": head,
            "kind": self.kind(head),
            "sinks": len(self.sinks_of(head)),
            "key": key,
            "where": key_place(self.keys, self.names, key),
            "multiple": of(self.multiple[:, key]),
            "share": of(self.share[:, key]),
            "concentration": of(self.concentration),
            "value_ratio": of(self.value_ratio),
            "output_size": of(self.output_size),
            "rank_output": of(self.rank_output),
            "rank_values": of(self.rank_values),
        }


@dataclass(frozen=True, eq=False)
class Sinks(Mapping[str, BlockSinks]):
    """The sinks of a network's blocks, by block name, in forward order.

    Attributes:
        blocks: what was found of each.
        refused: blocks of which it cannot be told, and why.
    """

    blocks: Mapping[str, BlockSinks]
    refused: Mapping[str, str] = field(default_factory=dict)

    def __getitem__(self, block: str) -> BlockSinks:
        if block in self.refused:
            raise NlvizError(self.refused[block])
        if block not in self.blocks:
            raise UnknownBlock(f"no block is called {block!r}{did_you_mean(block, self.blocks)}")
        return self.blocks[block]

    def __iter__(self) -> Iterator[str]:
        return iter(self.blocks)

    def __len__(self) -> int:
        return len(self.blocks)

    def table(self) -> list[dict[str, Any]]:
        """Return a record for each head of each block: plain numbers, None where not known."""
        return [record for found in self.blocks.values() for record in found.table()]

    def __repr__(self) -> str:
        return "\n".join(
            f"{r['block']}, head {r['head']}: {r['kind']}, {r['multiple'] or 0:.1f}x uniform at "
            f"{r['where']}"
            for r in self.table()
        )


def key_place(keys: TokenGrid, names: Sequence[str], key: int) -> str:
    """Return where a key lies: its name, or frame and pixels of its centre.

    Args:
        keys: the grid.
        names: of the keys without a place.
        key: its number, those without a place first.

    >>> grid = TokenGrid((2, 3, 5), (1, 8, 8), (0, 3.5, 3.5), prefix=1)
    >>> key_place(grid, ("cls",), 0), key_place(grid, ("cls",), 17)
    ('cls', 'frame 1, y 4, x 12')
    """
    if key < keys.prefix:
        return names[key] if key < len(names) else f"token {key}"
    index = key - keys.prefix
    if keys.names:
        return f"{index}:{keys.names[index].strip() or keys.names[index]}"
    frame, y, x = keys.centre(index)
    return f"frame {fixed(frame, 1).removesuffix('.0')}, y {fixed(y, 0)}, x {fixed(x, 0)}"
