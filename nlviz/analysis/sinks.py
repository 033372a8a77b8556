"""Finds the sinks of a capture's blocks; what the numbers are stands in ``block_sinks``."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from nlviz.affinity.base import CHUNK, Affinity
from nlviz.affinity.columns import asked, columns
from nlviz.analysis.block_sinks import FEW, BlockSinks, Sinks
from nlviz.captures.capture import Capture
from nlviz.errors import NlvizError
from nlviz.interventions.values import values_of
from nlviz.progress import Listener, Progress
from nlviz.sentences import counted


def sinks(
    capture: Capture,
    *,
    blocks: Sequence[str] | None = None,
    values: bool = True,
    progress: Listener | None = None,
) -> Sinks:
    """Find the keys that receive much from all queries, and tell what each head does with them.

    One pass over all rows of each block, and, for blocks whose values the capture did not keep, one
    forward pass for all of them together. What was found of a block is remembered with it.

    Args:
        capture: of the clip.
        blocks: names of those that are looked at; by default all.
        values: whether the network runs again where values were not kept; without them it is not
            told what heads do with their sinks.
        progress: called with a sentence and a share in [0, 1]; what it raises stops the work.

    Raises:
        UnknownBlock: when there is no block of a name that is asked for.
        NlvizError: when it can be told of none.

    >>> import nlviz
    >>> from nlviz.resources import asset
    >>> clip = nlviz.read_clip(asset("photos/coffee.jpg"), size=64)
    >>> found = nlviz.sinks(nlviz.load_model("lite-nl").capture(clip), blocks=["stage4"])
    >>> found["stage4"].kind(0), found["stage4"].multiple.shape
    ('none', torch.Size([1, 294]))
    """
    names = list(capture.affinities) if blocks is None else list(blocks)
    of = {name: capture.affinities[name] for name in names}
    tell = Progress.of(progress)
    missing = [n for n in names if not _is_known(of[n], values) and values and _kept(of[n]) is None]
    seen = _Seen(capture, missing, tell)
    found: dict[str, BlockSinks] = {}
    refused: dict[str, str] = {}
    for i, (name, affinity) in enumerate(of.items()):
        tell(f"Adding up what the keys of {name} receive", 0.2 + 0.8 * i / len(names))
        try:
            if not _is_known(affinity, values):
                _KNOWN[affinity] = _of_block(name, affinity, _kept(affinity), seen)
            found[name] = _KNOWN[affinity]
        except NlvizError as error:
            refused[name] = str(error)
    if not found:
        raise NlvizError(next(iter(refused.values()), "there is no block to look at"))
    return Sinks(found, refused)


_KNOWN: weakref.WeakKeyDictionary[Affinity, BlockSinks] = weakref.WeakKeyDictionary()


class _Seen:
    """Values that one more forward pass shows, or why it shows none."""

    def __init__(self, capture: Capture, blocks: list[str], tell: Progress) -> None:
        self.values: dict[str, Tensor] = {}
        self.why = ""
        if not blocks:
            return
        if capture.model is None:
            self.why = "the capture was read from a file that holds none"
            return
        tell("Running the network once more for the values of its keys", 0.0)
        try:
            self.values = values_of(capture, blocks)
        except NlvizError as error:
            self.why = str(error)


def _is_known(affinity: Affinity, values: bool) -> bool:
    known = _KNOWN.get(affinity)
    return known is not None and (known.value_norms is not None or not values)


def _kept(affinity: Affinity) -> Float[Tensor, "heads all_keys dv"] | None:
    """Return the values that were kept with an affinity, or None."""
    values = getattr(affinity, "values", None)
    return values if isinstance(values, Tensor) and len(values) == affinity.heads else None


def _of_block(name: str, affinity: Affinity, values: Tensor | None, seen: _Seen) -> BlockSinks:
    values = seen.values.get(name) if values is None else values
    received = columns(affinity)
    multiple = received.multiple
    median = multiple.nanquantile(0.5, -1)
    largest = multiple.nan_to_num(0.0).amax(-1)
    note = ""
    if received.counted < FEW:
        note = (
            "What all queries have in common cannot be told of "
            f"{counted(received.counted, 'query', 'queries')}, which is all that {name} has here."
        )
    elif values is None:
        note = (
            f"The values of {name} are not known here, so it cannot be told what its heads do "
            f"with their sinks{f' ({seen.why})' if seen.why else ''}."
        )
    found = BlockSinks(
        block=name,
        keys=affinity.keys,
        names=key_names(affinity),
        multiple=multiple,
        share=received.share,
        given=received.given,
        concentration=torch.where(median > 0, largest / median.clamp(min=1e-300), torch.inf),
        value_norms=None,
        output_size=None,
        rank_output=None,
        rank_values=None,
        queries=received.counted,
        note=note,
    )
    if values is None:
        return found
    wide = values.double()
    norms = wide.norm(dim=-1).cpu()
    gram, mean_norm = _output(affinity, wide, found.strongest)
    return replace(
        found,
        value_norms=norms,
        output_size=mean_norm / norms.quantile(0.5, -1).clamp(min=1e-300),
        rank_output=effective_rank(gram),
        rank_values=effective_rank(_gram(wide)),
    )


def _gram(x: Float[Tensor, "heads n d"]) -> Float[Tensor, "heads m m"]:
    """Return the smaller of x^T x and x x^T, whose eigenvalues are the squared singular values."""
    return (x.mT @ x if x.shape[1] >= x.shape[2] else x @ x.mT).cpu()


def _output(
    affinity: Affinity, values: Float[Tensor, "heads all_keys dv"], to: Sequence[int]
) -> tuple[Float[Tensor, "heads dv dv"], Float[Tensor, " heads"]]:
    """Return y^T y of y = A V, and the mean |y_i|, of each head.

    Args:
        affinity: whose rows.
        values: V.
        to: a key for each head; the queries that reach it are counted.
    """
    heads, _, width = values.shape
    gram = values.new_zeros(heads, width, width)
    total, many = values.new_zeros(heads), values.new_zeros(heads)
    for y, reach in _outputs(affinity, values):
        if reach is not None:
            there = reach[:, list(to)].mT[..., None].to(y)  # (heads, n, 1)
            y, many = y * there, many + there.sum((1, 2))
        else:
            many = many + y.shape[1]
        gram += y.mT @ y
        total += y.norm(dim=-1).sum(1)
    return gram.cpu(), (total / many.clamp(min=1)).cpu()


def _outputs(
    affinity: Affinity, values: Float[Tensor, "heads all_keys dv"]
) -> Iterator[tuple[Float[Tensor, "heads n dv"], Bool[Tensor, "n all_keys"] | None]]:
    """Yield y of the queries that count, as computed or rows times values, and what they reach."""
    placed, apart = asked(affinity)
    queries, keys, support = affinity.queries, affinity.keys, affinity.support
    kept = getattr(affinity, "output", None)
    if not (isinstance(kept, Tensor) and kept.shape[1] == queries.prefix + queries.size):
        kept = None
    chunk = max(CHUNK // (affinity.heads * values.shape[1]), 16)
    for part in () if placed is None else torch.split(placed, chunk):
        if kept is not None:
            y = kept[:, (part + queries.prefix).to(kept.device)].double()
        else:
            y = affinity.rows(part).to(values) @ values
        yield y, support.mask_all(queries, keys, part)
    if apart is not None:
        y = affinity.token_rows(apart).to(values) @ values
        every = support.mask_apart(queries, keys)
        yield (
            y if kept is None else kept[:, apart.to(kept.device)].double(),
            (None if every is None else every[apart.to(every.device)]),
        )


def effective_rank(gram: Float[Tensor, "heads m m"]) -> Float[Tensor, " heads"]:
    """Return the effective rank of matrices of which this is x^T x: 1 where all rows are one.

    exp(entropy of s / sum s) of the singular values s (Roy and Vetterli 2007).

    >>> effective_rank(torch.diag_embed(torch.tensor([[9.0, 9.0, 0.0], [4.0, 0.0, 0.0]])).double())
    tensor([2., 1.], dtype=torch.float64)
    """
    values = torch.linalg.eigvalsh(gram).clamp(min=0)
    # Squares in double precision know singular values down to some 1e-8 of the largest.
    values = values.where(values > 1e-14 * values.amax(-1, keepdim=True), 0.0)
    s = values.sqrt()
    p = s / s.sum(-1, keepdim=True).clamp(min=1e-300)
    found: Tensor = torch.special.entr(p).sum(-1).exp()
    return found


def key_names(affinity: Affinity) -> tuple[str, ...]:
    """Return what the keys without a place are called, one name for each."""
    keys, names = affinity.keys, affinity.token_names
    if keys.line is not None:
        return keys.line.words
    if len(names) == keys.prefix == affinity.queries.prefix:
        return names
    return tuple(f"{affinity.prefix_name}, {i}" for i in range(keys.prefix))
