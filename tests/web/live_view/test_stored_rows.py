"""Rows of kept weights in the browser against Python: heads, columns, keys out of reach."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import torch

from nlviz.affinity.base import Affinity
from nlviz.affinity.grid import TokenGrid
from nlviz.affinity.key_sets import KeySets
from nlviz.affinity.pairwise import Pairwise
from nlviz.affinity.stored import StoredAffinity
from nlviz.affinity.support import Everything, FrameGroups, Support
from nlviz.affinity.variants import Variant
from nlviz.web.payloads.container import pack
from nlviz.web.payloads.sources import packed_sources
from tests.web.live_view.containers import header
from tests.web.live_view.test_rows import Cases, run_node
from tests.web.live_view.test_set_rows import reached

PLACE = TokenGrid((4, 5, 7), (1.0, 16.0, 16.0), (0.0, 7.5, 7.5), prefix=2)


def stored(support: Support, key_of: torch.Tensor, groups: int, *, signed: bool) -> StoredAffinity:
    """Return weights of groups of queries, some columns of which are no key."""
    generator = torch.Generator().manual_seed(groups)
    queries, width = PLACE.size + PLACE.prefix, key_of.shape[1]
    each = -(-queries // groups)
    weights = torch.randn(groups, 3, each, width, generator=generator)
    weights = (weights if signed else weights.softmax(-1)) * (key_of >= 0)[:, None, None]
    at = torch.arange(queries)
    return StoredAffinity(
        "kept",
        Pairwise("effective_operator" if signed else "embedded_gaussian"),
        weights.half(),
        at // each,
        at % each,
        key_of,
        PLACE,
        PLACE,
        support,
    )


def local() -> StoredAffinity:
    """Return weights of five keys around each query; the border holds fewer."""
    n = PLACE.size
    t, y, x = (torch.arange(n) // 35, torch.arange(n) // 7 % 5, torch.arange(n) % 7)
    around = []
    for down, along in ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1)):
        inside = ((y + down) % 5 == y + down) & ((x + along) % 7 == x + along)
        around.append(torch.where(inside, 2 + (t * 5 + y + down) * 7 + x + along, -1))
    apart = torch.tensor([[0, 1, -1, -1, -1]])
    key_of = torch.cat([apart, apart, torch.stack(around, 1)])
    reach = torch.zeros(len(key_of), n + 3, dtype=torch.bool)
    reach.scatter_(1, torch.where(key_of < 0, n + 2, key_of), True)
    sets = KeySets.of(torch.arange(len(key_of)), reach[:, :-1], "A query reaches its neighbours.")
    return stored(sets, key_of, len(key_of), signed=True)


def by_frame(a: StoredAffinity) -> StoredAffinity:
    """Return an affinity whose weights beyond the support are zero."""
    mask = a.support.mask_all(a.queries, a.keys, torch.arange(PLACE.size))
    assert mask is not None
    a.weights[0, :, 2:] *= mask[:, a.key_of[0]]
    return a


def test_kept_weights_give_the_rows_and_columns_of_python(tmp_path: Path) -> None:
    cases = Cases()
    everything = torch.randperm(PLACE.size + 2, generator=torch.Generator().manual_seed(4))[None]
    made: dict[str, Affinity] = {
        "local": local(),
        "all": stored(Everything(), everything, 1, signed=False),
        "frames": by_frame(stored(FrameGroups(2), everything, 1, signed=False)),
    }
    of = {"shape": PLACE.shape, "stride": PLACE.stride, "origin": PLACE.origin}
    for key, affinity in made.items():
        cases.sources += packed_sources([(Variant(key, key, ""), affinity)], cases.sections)
        assert not cases.sources[-1]["server"]
        for token in (0, 79, 139):
            place = dict(zip(("frame", "y", "x"), PLACE.centre(token), strict=True))
            for head, direction in itertools.product((1, "mean", "max"), ("from", "to")):
                shown = affinity.map(**place, head=head, direction=direction)  # type: ignore[arg-type]
                view = {"source": key, "head": head, "direction": direction}
                name = f"{key} {token} {head} {direction}"
                cases.expect(name, token, reached(shown), view, 1e-3, of=of)
            left = affinity.map(**place).without("cell")
            view = {"source": key, "leave_out": "cell"}
            own = np.where(np.arange(left.weights.size) == left.own, 0, reached(left))
            cases.expect(f"{key} {token} without", token, own, view, 4e-3, of=of)
    container = tmp_path / "rows.nlv"
    container.write_bytes(
        pack(header(cases.clip, cases.sources, cases=cases.cases), cases.sections)
    )
    run_node("rows.test.mjs", NLVIZ_CONTAINER=str(container))
