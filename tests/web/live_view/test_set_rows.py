"""Rows of sets of keys in the browser against Python: what is reached, parts, columns, logits."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from nlviz.affinity.attention_map import AttentionMap
from nlviz.affinity.base import Affinity
from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.affinity.grid import TokenGrid
from nlviz.affinity.key_sets import KeySets
from nlviz.affinity.pairwise import Pairwise
from nlviz.affinity.position_share import terms
from nlviz.affinity.position_terms import PairBias
from nlviz.affinity.split import minus_mean, split
from nlviz.affinity.variants import Variant
from nlviz.web.payloads.container import pack
from nlviz.web.payloads.sources import packed_sources
from tests.web.live_view.containers import header
from tests.web.live_view.test_rows import Array, Cases, run_node


def add_sets(cases: Cases) -> None:
    """Add sets of keys with a table of position and tokens without a place, and their parts."""
    generator = torch.Generator().manual_seed(31)
    draw = lambda *shape: torch.randn(shape, generator=generator)  # noqa: E731
    place = TokenGrid((4, 5, 7), (1.0, 16.0, 16.0), (0.0, 7.5, 7.5), prefix=2)
    near = torch.tensor([y // 2 * 3 + x // 3 for _ in range(4) for y in range(5) for x in range(7)])
    names, own = torch.unique(near, return_inverse=True)
    reach = names[:, None] == near
    # The first of the tokens without a place is reached by some sets alone.
    apart = torch.stack([torch.arange(len(names)) % 2 == 0, torch.ones(len(names)) > 0], 1)
    windows = KeySets.of(
        torch.cat([torch.tensor([1, 0]), own]), torch.cat([apart, reach], 1), "Windows."
    )
    table = PairBias(draw(3, 6, 8), torch.arange(140) % 6, torch.arange(142) * 3 % 8)
    theta, phi = draw(3, 142, 6), draw(3, 142, 6)
    made = [
        EmbeddedAffinity(
            name, Pairwise(pairwise, 0.4), theta, phi, place, place, windows, bias=table
        )
        for name, pairwise in (("sets", "embedded_gaussian"), ("counted sets", "dot_product"))
    ]
    of = {"shape": place.shape, "stride": place.stride, "origin": place.origin}
    for learned in made:
        parts: dict[str, Affinity] = {learned.name: learned}
        if learned.pairwise.softmax:
            content, position = terms(learned)
            parts |= {"sets content": content, "sets position": position}
            parts |= {"sets pairwise": split(learned).pairwise, "sets unary": split(learned).unary}
        parts[f"{learned.name} minus mean"] = minus_mean(learned)
        kinds: dict[str, Literal["query", "shared"]] = {"pairwise": "query", "unary": "shared"}
        told = [Variant(k, k, "", split=kinds.get(k.split()[-1])) for k in parts]
        cases.sources += packed_sources(
            list(zip(told, parts.values(), strict=True)), cases.sections
        )
        for (key, affinity), token in itertools.product(parts.items(), (0, 79, 139)):
            add_shown(cases, key, affinity, token, of)


def add_shown(cases: Cases, key: str, affinity: Affinity, token: int, of: dict[str, Any]) -> None:
    """Add what Python shows of a token, row, column and logits, NaN where it is not reached."""
    place = dict(zip(("frame", "y", "x"), affinity.queries.centre(token), strict=True))
    for head, direction in itertools.product((1, "mean", "max"), ("from", "to")):
        shown = affinity.map(**place, head=head, direction=direction)  # type: ignore[arg-type]
        view = {"source": key, "head": head, "direction": direction}
        cases.expect(f"{key} {token} {head} {direction}", token, reached(shown), view, 1e-5, of=of)
    if affinity.row_values == "weights":
        for direction in ("from", "to"):
            shown = affinity.map(**place, head=2, values="logits", direction=direction)  # type: ignore[arg-type]
            view = {"source": key, "head": 2, "values": "logits", "direction": direction}
            name = f"{key} {token} logits {direction}"
            cases.expect(name, token, reached(shown), view, 1e-5, of=of)
    if affinity.pairwise.softmax:
        shown = affinity.map(**place).without("cell")
        share = float(shown.left_out)
        view = {"source": key, "leave_out": "cell"}
        own = np.where(np.arange(shown.weights.size) == shown.own, 0, reached(shown))
        cases.expect(f"{key} {token} without", token, own, view, 1e-5, of=of, excluded=share)


def reached(shown: AttentionMap) -> Array:
    """Return the weights of a map, NaN where its query does not reach."""
    weights: Array = shown.weights.ravel().astype(np.float64)
    return (
        weights if shown.reachable is None else np.where(shown.reachable.ravel(), weights, np.nan)
    )


def test_rows_of_sets_equal_python(tmp_path: Path) -> None:
    cases = Cases()
    add_sets(cases)
    path = tmp_path / "sets.bin"
    path.write_bytes(pack(header(cases.clip, cases.sources, cases=cases.cases), cases.sections))
    run_node("rows.test.mjs", NLVIZ_CONTAINER=str(path))
