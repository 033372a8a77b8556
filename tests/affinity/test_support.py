"""Every kind of support against its rule for one query and one key, in Python and in the browser.

A case is a support with the grids it stands between; a new kind adds its cases and its rule here,
and everything below holds for it: masks, columns, counts, tokens without a place, groups, JSON, and
the twin in ``support.js``, cell by cell. Every size is another.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from nlviz.affinity.causal import Causal
from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.affinity.grid import TokenGrid
from nlviz.affinity.key_sets import KeySets
from nlviz.affinity.lines import Lines
from nlviz.affinity.pairwise import Pairwise
from nlviz.affinity.support import KINDS, Everything, FrameGroups, Support, Window
from nlviz.errors import NlvizError
from tests.web.live_view.test_rows import run_node

GRID = TokenGrid((4, 5, 7), prefix=3)
POOLED = TokenGrid((4, 2, 3), (1, 2, 2), prefix=5)
LONG, SHORT = TokenGrid((7, 2, 3), prefix=4), TokenGrid((3, 1, 2), prefix=8)
EVEN, HALF = TokenGrid((8, 3, 2), prefix=2), TokenGrid((4, 1, 2), prefix=8)
FLAT = TokenGrid((1, 9, 11))

SHIFTED, SHORT_LINE = TokenGrid((2, 5, 7), prefix=3), TokenGrid((2, 3, 4), prefix=1)


def sets(queries: TokenGrid, keys: TokenGrid, of: Callable[..., Any], apart: Tensor) -> KeySets:
    """Queries reach the keys of their own name; apart: which keys without a place each set has."""
    names = sorted({of(*queries.unravel(q)) for q in range(queries.size)})
    own = torch.tensor([names.index(of(*queries.unravel(q))) for q in range(queries.size)])
    named = [of(*keys.unravel(k)) for k in range(keys.size)]
    placed = torch.tensor([[name == one for one in named] for name in names])
    before = torch.arange(queries.prefix) % len(names)
    reach = torch.cat([apart.expand(len(names), keys.prefix), placed], 1)
    return KeySets.of(torch.cat([before, own]), reach, "A query reaches the keys of its set.")


LINE, MANY = TokenGrid((1, 1, 9)), TokenGrid((1, 1, 13), prefix=4)
FILM = TokenGrid((2, 3, 2), prefix=5)  # vision tokens between words
FILM_AT = (0, 1, 14, 15, 16, *range(2, 14))


def causal(grid: TokenGrid) -> KeySets:
    size = grid.size + grid.prefix
    reach = torch.ones(size, size).tril().bool()
    return KeySets.of(torch.arange(size), reach, "A query reaches what comes before it.")


NONE, ALL, SOME = (torch.tensor(v, dtype=torch.bool) for v in ([0, 0, 0], [1, 1, 1], [1, 0, 1]))
CASES: dict[str, tuple[Support, TokenGrid, TokenGrid]] = {
    "everything": (Everything(), GRID, GRID),
    "everything, pooled": (Everything(), GRID, POOLED),
    "frames alone": (FrameGroups(1), GRID, POOLED),
    "frames alone, class tokens": (FrameGroups(1, own_prefix=True), HALF, HALF),
    "groups, the last one shorter": (FrameGroups(3), GRID, GRID),
    "groups, keys pooled in time": (FrameGroups(2), LONG, SHORT),
    "groups with class tokens, pooled in time": (FrameGroups(2, own_prefix=True), EVEN, HALF),
    "groups longer than the clip": (FrameGroups(9, own_prefix=True), LONG, SHORT),
    "window": (Window(rows=1, columns=2), GRID, GRID),
    "window in time": (Window(rows=1, columns=2, frames=1), GRID, GRID),
    "window of blocks": (Window(rows=2, columns=1, frames=0, block=3), GRID, GRID),
    "window of blocks without a margin": (Window(rows=0, columns=0, block=4), FLAT, FLAT),
    "window of one cell": (Window(rows=0, columns=0, frames=0), GRID, GRID),
    "window wider than the picture": (Window(rows=8, columns=12, block=2), FLAT, FLAT),
    "lines: row and column": (Lines(("y", "x")), GRID, GRID),
    "lines: one place over time, its column too": (Lines(("t", "y")), SHIFTED, SHIFTED),
    "lines: three": (Lines(("t", "y", "x")), SHORT_LINE, SHORT_LINE),
    "lines: a row alone": (Lines(("x",)), FLAT, FLAT),
    "sets: shifted windows": (
        sets(SHIFTED, SHIFTED, lambda t, y, x: ((y + 1) // 3, (x + 2) // 4), NONE),
        SHIFTED,
        SHIFTED,
    ),
    "sets: one place over time": (sets(GRID, GRID, lambda t, y, x: (y, x), ALL), GRID, GRID),
    "sets: far cells": (sets(GRID, GRID, lambda t, y, x: (y % 2, x % 3), SOME), GRID, GRID),
    "sets: coarse keys": (
        sets(GRID, POOLED, lambda t, y, x: t % 2, torch.ones(5, dtype=torch.bool)),
        GRID,
        POOLED,
    ),
    "causal": (Causal(), LINE, LINE),
    "causal: tokens without a place first": (Causal(), SHORT_LINE, SHORT_LINE),
    "causal: the nearest": (Causal(nearest=4), LINE, LINE),
    "causal: a picture between words": (Causal(FILM_AT, FILM_AT), FILM, FILM),
    "causal: the nearest, a picture between words": (Causal(FILM_AT, FILM_AT, 6), FILM, FILM),
    "causal: keys that were there before": (
        Causal(tuple(range(8, 17)), tuple(range(17))),
        LINE,
        MANY,
    ),
    "sets: all before": (causal(SHORT_LINE), SHORT_LINE, SHORT_LINE),
}
every = pytest.mark.parametrize("case", CASES)


def in_groups(s: FrameGroups, queries: TokenGrid, keys: TokenGrid, q: int, k: int) -> bool:
    frame = queries.unravel(q)[0]
    of_key = keys.unravel(k)[0] * queries.shape[0] // keys.shape[0]  # the frame it begins at
    return frame // s.frames_per_group == of_key // s.frames_per_group


def in_window(s: Window, queries: TokenGrid, keys: TokenGrid, q: int, k: int) -> bool:
    (t, y, x), (a, b, c) = queries.unravel(q), keys.unravel(k)
    top, left = y // s.block * s.block, x // s.block * s.block
    return (
        (s.frames is None or abs(a - t) <= s.frames)
        and top - s.rows <= b < top + s.block + s.rows
        and left - s.columns <= c < left + s.block + s.columns
    )


def in_set(s: KeySets, queries: TokenGrid, keys: TokenGrid, q: int, k: int) -> bool:
    runs = s.runs[s.set_of[q + queries.prefix]]
    key = k + keys.prefix
    return any(first <= key < first + n for first, n in zip(runs[::2], runs[1::2], strict=True))


def before(s: Causal, queries: TokenGrid, keys: TokenGrid, q: int, k: int) -> bool:
    n, m = q + queries.prefix, k + keys.prefix
    n, m = s.queries_at[n] if s.queries_at else n, s.keys_at[m] if s.keys_at else m
    return m <= n and (s.nearest is None or m > n - s.nearest)


def on_lines(s: Lines, queries: TokenGrid, keys: TokenGrid, q: int, k: int) -> bool:
    other = [
        a for a, m, n in zip("tyx", queries.unravel(q), keys.unravel(k), strict=True) if m != n
    ]
    return not other or (len(other) == 1 and other[0] in s.axes)


RULES: dict[type[Support], Callable[..., bool]] = {
    Everything: lambda *_: True,
    FrameGroups: in_groups,
    Window: in_window,
    KeySets: in_set,
    Lines: on_lines,
    Causal: before,
}


def reached(case: str) -> torch.Tensor:
    """Which keys with a place each query reaches, by the rule of its kind."""
    support, queries, keys = CASES[case]
    rule = RULES[type(support)]
    return torch.tensor(
        [
            [rule(support, queries, keys, q, k) for k in range(keys.size)]
            for q in range(queries.size)
        ]
    )


def apart(case: str) -> torch.Tensor:
    """Which keys without a place each query reaches, by the rule."""
    support, queries, keys = CASES[case]
    if isinstance(support, (KeySets, Causal)):
        pairs = [
            [
                RULES[type(support)](support, queries, keys, q, k - keys.prefix)
                for k in range(keys.prefix)
            ]
            for q in range(queries.size)
        ]
        return torch.tensor(pairs, dtype=torch.bool).reshape(queries.size, keys.prefix)
    if not (isinstance(support, FrameGroups) and support.own_prefix):
        return torch.ones(queries.size, keys.prefix, dtype=torch.bool)
    groups = -(-queries.shape[0] // support.frames_per_group)
    of_key = torch.arange(keys.prefix) // (keys.prefix // groups)
    frames = torch.tensor([queries.unravel(q)[0] for q in range(queries.size)])
    return (frames // support.frames_per_group)[:, None] == of_key


def test_every_kind_has_its_cases_and_its_rule() -> None:
    assert (
        {type(support) for support, _, _ in CASES.values()}
        == {*KINDS, KeySets, Lines, Causal}
        == set(RULES)
    )


@every
def test_masks_are_the_rule(case: str) -> None:
    support, queries, keys = CASES[case]
    support.check(queries, keys)
    wanted, index = reached(case), torch.arange(queries.size)
    mask = support.mask(queries, keys, index)
    assert torch.equal(torch.ones_like(wanted) if mask is None else mask, wanted)
    some = index[2::3].flip(0)
    part = support.mask_all(queries, keys, some)
    whole = torch.cat([apart(case), wanted], 1)
    assert torch.equal(torch.ones_like(whole[some]) if part is None else part, whole[some])


@every
def test_columns_and_counts_are_those_of_the_mask(case: str) -> None:
    support, queries, keys = CASES[case]
    wanted = reached(case)
    for key in range(keys.size):
        found = support.reaching(queries, keys, key)
        assert torch.equal(wanted[:, key] | True if found is None else found, wanted[:, key])
    counts = wanted.sum(1) + apart(case).sum(1)
    assert torch.equal(support.counts(queries, keys), counts)


@every
def test_queries_of_a_group_reach_the_same_frames(case: str) -> None:
    support, queries, _ = CASES[case]
    group = support.groups(queries)
    assert sorted(set(group.tolist())) == list(range(int(group.max()) + 1))
    if isinstance(support, (FrameGroups, KeySets)):
        wanted = reached(case)
        for g in set(group.tolist()):
            of_group = wanted[group == g]
            assert torch.equal(of_group, of_group[:1].expand_as(of_group))


@every
def test_json_and_sentence(case: str) -> None:
    support, _, keys = CASES[case]
    assert Support.from_json(json.loads(json.dumps(support.to_json()))) == support
    said = support.sentence(keys)
    assert (said == "") == isinstance(support, Everything)
    assert said == "" or ((said.endswith(".") and "reach" in said) or "see only" in said)


def test_the_browser_reaches_the_same_cells(tmp_path: Path) -> None:
    cases: list[dict[str, Any]] = []
    for name, (support, queries, keys) in CASES.items():
        whole = torch.cat([apart(name), reached(name)], 1)
        cases.append(
            {
                "name": name,
                "spec": {
                    "support": support.to_json(),
                    "queries": {"shape": queries.shape},
                    "keys": {"shape": keys.shape},
                    "prefix": keys.prefix,
                },
                "local": isinstance(support, Window),
                "listed": isinstance(support, (KeySets, Lines, Causal)),
                "rows": ["".join("01"[v] for v in row) for row in whole.int().tolist()],
                "most": int(reached(name).sum(1).max()),
                "groups": support.groups(queries).tolist(),
            }
        )
    path = tmp_path / "supports.json"
    path.write_text(json.dumps(cases))
    run_node("support.test.mjs", NLVIZ_SUPPORTS=str(path))


@pytest.mark.parametrize("case", [c for c in CASES if c.startswith("window")])
def test_rows_of_a_window_are_softmaxes_of_its_keys(case: str) -> None:
    support, grid, _ = CASES[case]
    grid = TokenGrid(grid.shape)
    generator = torch.Generator().manual_seed(3)
    theta, phi = (torch.randn(2, grid.size, 6, generator=generator) for _ in range(2))
    affinity = EmbeddedAffinity("b", Pairwise("embedded_gaussian"), theta, phi, grid, grid, support)
    for query in (0, grid.size // 3, grid.size - 1):
        keys = reached(case)[query].nonzero()[:, 0]
        row = torch.zeros(2, grid.size)
        row[:, keys] = torch.einsum("hd,hkd->hk", theta[:, query], phi[:, keys]).softmax(-1)
        torch.testing.assert_close(affinity.rows([query])[:, 0], row)
        frame, y, x = grid.centre(query)
        shown = affinity.map(frame=frame, y=y, x=x)
        assert shown.reachable is not None
        assert int(shown.reachable.sum()) == len(keys)


def test_the_public_name_makes_the_kinds() -> None:
    near = Window(1, 2, block=3)
    assert Support() == Support(None) == Everything()
    assert Support(2, own_prefix=True) == FrameGroups(2, own_prefix=True)
    assert Support(frames_per_group=2, window=None) == FrameGroups(2)
    assert Support(window=near) is near
    for support in (Support(), Support(2), near):
        assert isinstance(support, Support)
    assert (near.window, Support(2).frames_per_group, Support(2).window) == (near, 2, None)
    assert (Support().frames_per_group, Support().own_prefix, Support().window) == (
        None,
        False,
        None,
    )


def test_what_makes_no_sense_is_told() -> None:
    with pytest.raises(NlvizError, match=r"0 or more cells.*rows=-1"):
        Window(rows=-1, columns=2)
    with pytest.raises(NlvizError, match=r"not both.*frames_per_group=2"):
        Support(frames_per_group=2, window=Window(1, 1))
    with pytest.raises(NlvizError, match="from 1, got 0"):
        Support(0)
    with pytest.raises(NlvizError, match=r"queries that are keys.*\(4, 2, 3\)"):
        Window(1, 1).mask(GRID, POOLED, torch.tensor([0]))
    with pytest.raises(NlvizError, match=r"2 groups of frames share .* got 5"):
        FrameGroups(2, own_prefix=True).check(GRID, POOLED)


@pytest.mark.parametrize(
    ("told", "rule"),
    [
        ({"kind": "ring"}, "one of all, frame_groups, window, .*lines.*, got 'ring'"),
        ({}, "got 'None'"),
        ({"kind": "all", "rows": 1}, "all has no field 'rows'"),
        ({"kind": "frame_groups"}, "frames_per_group is missing"),
        ({"kind": "lines", "axes": ["x", "y"]}, "each once and in this order; got x, y"),
        ({"kind": "lines", "axes": ["z"]}, "axes"),
        ({"kind": "window", "rows": 1, "columns": True}, "columns must be a whole number"),
        (
            {"kind": "window", "rows": 1, "columns": 1, "frames": -1},
            r"frames must .* from 0, .* got -1",
        ),
    ],
)
def test_edited_json_is_told_in_a_sentence(told: dict[str, Any], rule: str) -> None:
    with pytest.raises(NlvizError, match=rule):
        Support.from_json(told)
