"""Knock-out: links of one query are cut, and what changes is told beside what chance changes.

What is measured of each cut, beside the same of the controls in ``control_edges``:

figure        definition
``output``    |y' - y| / |y| of the block's output y_i before its projection, see ``cut_rows``
``logits``    |l' - l| / |l| of the network's logits
``answer``    p' - p, the change of the probability of the class that is most probable as it is

Cutting attention between positions and watching the answer: Geva et al. 2023, "Dissecting recall of
factual associations" (arXiv 2304.14767), section 5; over the frames of a video: Kim et al. 2025,
"Map the Flow" (arXiv 2510.13251). Why others are cut beside it: see ``control_edges``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from nlviz.affinity.asked import Query, place_of, query_number, query_said
from nlviz.affinity.base import Affinity
from nlviz.analysis.control_edges import (
    Keys,
    Kind,
    Refused,
    as_mask,
    in_common,
    keys_at_distance,
    keys_of_mean_row,
    own_key,
    random_keys,
    reached_keys,
    strongest,
)
from nlviz.analysis.cut_passes import Passes, answers_of, values_where_seen
from nlviz.analysis.cut_rows import (
    exact_row,
    greedy_cuts,
    output_changes,
    single_changes,
)
from nlviz.analysis.knocked_out import Control, Cut, KnockOut
from nlviz.captures.capture import Capture
from nlviz.errors import NlvizError, OutsideClip
from nlviz.interventions.sharp_rows import without
from nlviz.progress import Listener, Progress
from nlviz.sentences import counted, listed

TOP = 20
SEEDS = 8
MOST_SINGLE = 256  # links of a cut up to which each is cut alone, too
TOO_MANY = f"More than {MOST_SINGLE} links are not cut one by one."

Against = Literal["random", "all"]


@dataclass(frozen=True)
class Links:
    """Which links are cut.

    Attributes:
        keys: numbers of their keys, those without a place first.
        said: in words.
        whole: whether all keys of some frames are cut, so that none is left at their distance.
    """

    keys: Keys
    said: str
    whole: bool = False


def knock_out(
    capture: Capture,
    block: str,
    query: Query,
    top: int = TOP,
    against: Against = "random",
    seeds: int = SEEDS,
    *,
    keys: Sequence[int] | Tensor | None = None,
    frames: Sequence[int] | int | None = None,
    cross_frame: bool = False,
    own: bool = True,
    heads: Sequence[int] | None = None,
    greedy: bool = False,
    logits: bool = True,
    progress: Listener | None = None,
) -> KnockOut:
    """Cut links of one query and tell what changes, beside cutting as many others.

    The strongest links are cut, unless ``keys``, ``frames`` or ``cross_frame`` says which. Of the
    block, only the row of this query is changed; of the network, what comes after the block runs
    again, once for each cut, and everything else stays bit for bit.

    Args:
        capture: of the clip.
        block: name of the block.
        query: a place (frame, y, x), the name of a token, or a number on the grid.
        top: how many of the strongest links are cut; fewer where there are fewer.
        against: which others are cut in their place: ``random`` ones, or ``all`` controls: random
            ones, others at the same distances, and the strongest of the mean row.
        seeds: how many draws of each control that is drawn.
        keys: numbers of the keys to cut instead, those without a place first: painted ones.
        frames: numbers of frames of the key grid, all links to which are cut instead.
        cross_frame: cut all links to other frames than the query's own instead.
        own: whether the link of the query to its own cell may be cut; without it that link stays,
            also in the controls.
        heads: in which heads links are cut; None for all. What is strongest is theirs.
        greedy: also cut as many links one by one, each time the one that changes the block's
            output most.
        logits: whether the network runs again, for the answer.
        progress: called with a sentence and a share in [0, 1]; an exception it raises stops it.

    Raises:
        UnknownBlock: when there is no such block.
        OutsideClip: when there is no such query, key, frame or head.
        NlvizError: when nothing is left to be cut, or options contradict each other.

    >>> import nlviz
    >>> from nlviz.resources import asset
    >>> clip = nlviz.read_clip(asset("photos/coffee.jpg"), size=128)
    >>> capture = nlviz.load_model("lite-nl").capture(clip)
    >>> found = knock_out(capture, "stage4", (0, 40, 60), top=5, logits=False)
    >>> len(found.cut.keys), found.cut.output > found.control("random").interval("output")[1]
    (5, True)
    """
    tell = Progress.of(progress)
    affinity = capture.affinities[block]
    number = query_number(affinity, query)
    chosen = _heads(affinity, heads)
    if seeds < 1:
        raise NlvizError(f"a control is drawn at least once, got seeds={seeds}")
    tell("Cutting links", 0.0)
    row = exact_row(affinity, number)
    some = row if chosen is None else row[list(chosen)]
    reached = reached_keys(affinity, number)
    if not own:
        reached = reached[reached != own_key(affinity, number)]
    links = _links(affinity, number, some, reached, top, keys, frames, cross_frame)
    kinds: tuple[Kind, ...] = ("random",) if against == "random" else ("random", "distance", "mean")
    draws = {kind: _drawn(affinity, number, links, reached, kind, seeds) for kind in kinds}
    sets = [links.keys]
    for drawn in draws.values():
        sets += drawn if isinstance(drawn, list) else []
    masks = torch.stack([as_mask(affinity, each) for each in sets])
    shared = affinity.pairwise.softmax
    values, missing = values_where_seen(capture, block)
    passes = Passes()
    if logits:
        passes = answers_of(capture, block, number, masks, chosen, tell.part(0.1, 1.0))
    notes = [*missing, *passes.notes]
    outputs: list[float | None] = [None] * len(sets)
    single: tuple[float, ...] = ()
    steps = None
    if values is not None:
        changes = output_changes(row, values, masks, shared=shared, heads=chosen)
        outputs = [float(change) for change in changes]
        if len(links.keys) <= MOST_SINGLE:
            alone = single_changes(row, values, links.keys, shared=shared, heads=chosen)
            single = tuple(alone.tolist())
        if greedy and len(links.keys) <= MOST_SINGLE:
            count = len(links.keys)
            steps = greedy_cuts(row, values, reached, count, shared=shared, heads=chosen)
        elif greedy:
            notes.append(TOO_MANY)
    sizes = some.abs().mean(0)
    cuts = [
        Cut(
            keys=tuple(each.tolist()),
            weight=float(sizes[each].sum() / sizes.sum().clamp(min=1e-30)),
            output=output,
            **passes.figures(n),
        )
        for n, (each, output) in enumerate(zip(sets, outputs, strict=True))
    ]
    first, controls = 1, []
    for kind, drawn in draws.items():
        if isinstance(drawn, Refused):
            controls.append(Control(kind, (), missing=drawn.why))
            continue
        others = tuple(cuts[first : first + len(drawn)])
        first += len(drawn)
        shares = [in_common(each, links.keys) for each in drawn]
        controls.append(Control(kind, others, sum(shares) / len(shares)))
    tell("Links are cut", 1.0)
    return KnockOut(
        block=block,
        query=query_said(affinity, number),
        number=number,
        links=links.said,
        cut=cuts[0],
        controls=tuple(controls),
        row=row.float().cpu(),
        row_after=_after(row, masks[0], chosen, shared=shared).float().cpu(),
        shared=shared,
        heads=chosen,
        label=passes.label,
        probability=passes.probability,
        single=single,
        greedy=steps,
        notes=tuple(dict.fromkeys(notes)),
    )


def _heads(affinity: Affinity, heads: Sequence[int] | None) -> tuple[int, ...] | None:
    if heads is None:
        return None
    chosen = tuple(dict.fromkeys(int(head) for head in heads))
    if not chosen or not all(0 <= head < affinity.heads for head in chosen):
        raise OutsideClip(
            f"heads of {affinity.name} are numbers from 0 to {affinity.heads - 1}; got {heads!r}"
        )
    return None if len(chosen) == affinity.heads else chosen


def _links(
    affinity: Affinity,
    number: int,
    row: Tensor,
    reached: Keys,
    top: int,
    keys: Sequence[int] | Tensor | None,
    frames: Sequence[int] | int | None,
    cross_frame: bool,
) -> Links:
    """Return which links are cut: those that are named, or the strongest."""
    if (keys is not None) + (frames is not None) + cross_frame > 1:
        raise NlvizError("links are named by keys, by frames or by cross_frame, by one of these")
    if not len(reached):
        raise NlvizError(f"this query of {affinity.name} reaches no key, so it has no links to cut")
    if keys is not None:
        return _named(affinity, reached, torch.as_tensor(keys, dtype=torch.long).flatten())
    if frames is not None or cross_frame:
        return _of_frames(affinity, number, reached, frames)
    if top < 1:
        raise NlvizError(f"at least one link is cut, got top={top}")
    chosen = strongest(row, reached, top)
    many = len(chosen)
    if many == len(reached):
        return Links(chosen, f"all its {many} links" if many > 1 else "its only link", whole=True)
    return Links(chosen, f"its {many} strongest links" if many > 1 else "its strongest link")


def _named(affinity: Affinity, reached: Keys, keys: Keys) -> Links:
    size = affinity.keys.prefix + affinity.keys.size
    if not len(keys) or not (0 <= int(keys.min()) and int(keys.max()) < size):
        got = "none" if not len(keys) else f"{int(keys.min())} to {int(keys.max())}"
        raise OutsideClip(f"keys of {affinity.name} have numbers from 0 to {size - 1}; got {got}")
    kept = torch.unique(keys[torch.isin(keys, reached)])
    if not len(kept):
        raise NlvizError("the query reaches none of these keys, so there is no link to cut")
    return Links(kept, counted(len(kept), "link") + " that you chose", len(kept) == len(reached))


def _of_frames(
    affinity: Affinity, number: int, reached: Keys, frames: Sequence[int] | int | None
) -> Links:
    grid = affinity.keys
    t = grid.shape[0]
    if grid.kind != "grid" or t < 2:
        raise NlvizError(
            f"the keys of {affinity.name} lie in {'one frame' if grid.kind == 'grid' else 'none'}, "
            "so no frame can be cut off; cut its strongest links, or name keys"
        )
    frame_of = torch.arange(grid.size) // (grid.size // t)
    if frames is None:
        here = place_of(affinity, number)
        if here is None:
            raise NlvizError(
                "a query without a place is in no frame; name frames, or cut its strongest links"
            )
        own = int(grid.axes[0].nearest(here.frame, t))
        chosen, said = frame_of != own, "all its links to other frames"
    else:
        wanted = sorted({frames} if isinstance(frames, int) else {int(frame) for frame in frames})
        if not wanted or wanted[0] < 0 or wanted[-1] >= t:
            raise OutsideClip(f"frames of these keys go from 0 to {t - 1}; got {frames!r}")
        chosen = torch.isin(frame_of, torch.tensor(wanted))
        plural = "frames" if len(wanted) > 1 else "frame"
        said = f"all its links to {plural} {listed(map(str, wanted), 'and')}"
    keys = chosen.nonzero()[:, 0] + grid.prefix
    kept = keys[torch.isin(keys, reached)]
    if not len(kept):
        raise NlvizError(f"this query of {affinity.name} reaches none of these frames' keys")
    return Links(kept, said, whole=True)


def _drawn(
    affinity: Affinity, number: int, links: Links, reached: Keys, kind: Kind, seeds: int
) -> list[Keys] | Refused:
    """Return the keys of each draw of a control."""
    count = len(links.keys)
    if count == len(reached):
        return Refused("no others are left, all that the query reaches are cut")
    if kind == "random":
        return [random_keys(reached, count, seed) for seed in range(seeds)]
    if kind == "mean":
        mean = keys_of_mean_row(affinity, number, reached, count)
        return mean if isinstance(mean, Refused) else [mean]
    if links.whole:
        return Refused("all that lie in these frames are cut, no others lie at their distances")
    drawn = []
    for seed in range(seeds):
        found = keys_at_distance(affinity, number, links.keys, reached, seed)
        if isinstance(found, Refused):
            return found
        drawn.append(found)
    if all(in_common(each, links.keys) == 1.0 for each in drawn):
        return Refused("no others lie at the same distances")
    return drawn


def _after(row: Tensor, cut: Tensor, heads: tuple[int, ...] | None, *, shared: bool) -> Tensor:
    after = row.clone()
    some = list(range(len(row))) if heads is None else list(heads)
    after[some] = without(row[some][:, None], cut.to(row.device), softmax=shared)[:, 0]
    return after
