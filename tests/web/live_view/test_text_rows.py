"""Rows over words, boxes and nodes in the browser, against those of Python."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nlviz.affinity.attention_map import AttentionMap
from nlviz.affinity.base import Affinity
from nlviz.affinity.causal import Causal
from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.affinity.grid import Line, TokenGrid
from nlviz.affinity.grouped import GroupedAffinity
from nlviz.affinity.pairwise import Pairwise
from nlviz.affinity.stored import StoredAffinity
from nlviz.affinity.support import ALL_KEYS
from nlviz.affinity.token_boxes import TokenBoxes
from nlviz.affinity.token_line import TokenLine
from nlviz.affinity.token_nodes import TokenNodes
from nlviz.affinity.variants import LEARNED
from nlviz.web.payloads import sources
from nlviz.web.payloads.container import pack
from nlviz.web.payloads.sources import packed_sources
from tests.web.live_view.containers import frame_sections, header, square_clip
from tests.web.live_view.test_rows import run_node
from tests.web.live_view.text_containers import BOXES, NAMES, PLACES, tables, text_head

HEADS, D = 3, 7
WORDS = ("<s>", "who", "moves", ",", "the", "square", "or", "the", "ground")
SPANS = ((0, 0), (0, 3), (4, 9), (9, 10), (11, 14), (15, 21), (22, 24), (25, 28), (29, 35))
TEXT = "who moves, the square or the ground"


def vectors(tokens: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(HEADS, tokens, D, generator=generator)


def embedded(queries: TokenGrid, keys: TokenGrid, **more: Any) -> EmbeddedAffinity:
    kind = more.pop("pairwise", "embedded_gaussian")
    return EmbeddedAffinity(
        "block",
        Pairwise(kind, scale=1.0 if kind == "concatenation" else 0.6),
        vectors(queries.size + queries.prefix, 1)[..., : 1 if kind == "concatenation" else D],
        vectors(keys.size + keys.prefix, 2)[..., : 1 if kind == "concatenation" else D],
        queries,
        keys,
        **more,
    )


class Asked:
    """Cases of one affinity: what was asked, and what Python says."""

    def __init__(self, affinity: Affinity, *, text: bool) -> None:
        self.affinity, self.text = affinity, text
        self.sections: dict[str, Any] = {}
        self.cases: list[dict[str, Any]] = []

    def add(self, expected: AttentionMap, query: dict[str, Any], index: int, **view: Any) -> None:
        name = f"expected{len(self.cases)}"
        reached = expected.reachable
        weights = (
            expected.weights if reached is None else np.where(reached, expected.weights, np.nan)
        )
        self.sections[name] = weights.ravel().astype(np.float32)
        case = {
            "name": f"{query} {view}",
            "query": query,
            "token": index,
            "view": {"source": "learned", **view},
            "expected": name,
            "tolerance": 2e-3,
        }
        if expected.direction == "from" and view.get("head", "mean") != "max":
            case["top"] = expected.top_of_scale()
        self.cases.append(case)

    def words(self, weights: np.ndarray, mask: np.ndarray | None = None) -> None:
        """Expect these weights of words beside the cells in the last case."""
        name = f"words{len(self.cases)}"
        self.sections[name] = (weights if mask is None else np.where(mask, weights, np.nan)).astype(
            np.float32
        )
        self.cases[-1]["words"] = name

    def run(self, tmp_path: Path) -> None:
        (entry,) = packed_sources([(LEARNED, self.affinity)], self.sections)
        assert not entry["server"]
        if self.text:
            line = self.affinity.keys
            assert isinstance(line, TokenLine)
            head = text_head(TEXT, list(WORDS), list(SPANS), [entry])
            sections = {**tables(), **self.sections}
        else:
            clip = square_clip(4)
            head = header(clip, [entry])
            sections = {**frame_sections(clip), **self.sections}
        assert len(self.cases) >= 20
        file = tmp_path / "rows.safetensors"
        file.write_bytes(pack({**head, "cases": self.cases}, sections))
        run_node("rows.test.mjs", NLVIZ_CONTAINER=str(file))


@pytest.mark.parametrize(
    ("pairwise", "support"),
    [
        ("embedded_gaussian", ALL_KEYS),
        ("embedded_gaussian", Causal()),
        ("embedded_gaussian", Causal(nearest=3)),
        ("dot_product", ALL_KEYS),
        ("concatenation", ALL_KEYS),
    ],
    ids=str,
)
def test_words_of_a_text_look_at_each_other(tmp_path: Path, pairwise: str, support: Any) -> None:
    line = TokenLine.of(WORDS, SPANS, special=[0])
    asked = Asked(embedded(line, line, pairwise=pairwise, support=support), text=True)
    for word in range(len(WORDS)):
        for head in ("mean", "max", 1):
            for direction in ("from", "to"):
                expected = asked.affinity.map(
                    frame=0,
                    y=0,
                    x=word,
                    head=head,
                    direction=direction,  # type: ignore[arg-type]
                )
                place = {"frame": 0, "y": 0, "x": word}
                asked.add(expected, place, word, head=head, direction=direction)
    named = asked.affinity.map(token="7:the")
    asked.add(named, {"frame": 0, "y": 0, "x": 1}, 7, token="7:the")
    asked.run(tmp_path)


def test_words_of_one_text_look_at_another(tmp_path: Path) -> None:
    queries = TokenLine.of(("moves", "square", "!", "who"), first=len(WORDS))
    asked = Asked(embedded(queries, TokenLine.of(WORDS, SPANS)), text=True)
    for word in range(4):
        for head in ("mean", "max", 0, 2):
            place = {"frame": 0, "y": 0, "x": len(WORDS) + word}
            asked.add(asked.affinity.map(head=head, **place), place, word, head=head)  # type: ignore[arg-type]
    for key in range(len(WORDS)):
        place = {"frame": 0, "y": 0, "x": key}
        asked.add(asked.affinity.map(direction="to", **place), place, key, direction="to")
    asked.run(tmp_path)


@pytest.mark.parametrize("kind", ["embedded_gaussian", "dot_product", "causal", "stored"])
def test_words_beside_a_clip(tmp_path: Path, kind: str) -> None:
    p = len(WORDS)
    grid = TokenGrid(
        (4, 3, 5), (1, 32, 25.6), (0, 15.5, 12.3), prefix=p, line=Line(WORDS, SPANS, frozenset({0}))
    )
    support = Causal() if kind == "causal" else ALL_KEYS
    pairwise = "dot_product" if kind == "dot_product" else "embedded_gaussian"
    whole = embedded(grid, grid, pairwise=pairwise, support=support)
    asked = Asked(whole, text=False)
    mask = support.mask_apart(grid, grid)
    for word in range(p):
        for head in ("mean", "max", 2):
            expected = whole.map(token=f"{word}:{WORDS[word]}", head=head)  # type: ignore[arg-type]
            query = {"frame": 1, "y": 40, "x": 40, "word": word}
            asked.add(expected, query, 0, head=head)
            assert expected.off_weights is not None
            asked.words(expected.off_weights, None if mask is None else mask[word, :p].numpy())
        if kind != "stored":
            column = whole.map(token=f"{word}:{WORDS[word]}", direction="to")
            asked.add(column, {**query, "word": word}, 0, direction="to")
            assert column.off_weights is not None
            asked.words(column.off_weights, None if mask is None else mask[:, word].numpy())
    for place in range(0, 60, 7):
        frame, y, x = grid.centre(place)
        at = {"frame": int(frame), "y": y, "x": x}
        row = whole.map(**at)
        asked.add(row, at, place)
        every = support.mask_all(grid, grid, torch.tensor([place])) if kind == "causal" else None
        assert row.off_weights is not None
        asked.words(row.off_weights, None if every is None else every[0, :p].numpy())
    named = whole.map(token="who")
    asked.add(named, {"frame": 1, "y": 40, "x": 40}, 0, token="who")
    if kind == "stored":
        rows = torch.cat([whole.token_rows(), whole.rows(range(60))], 1)
        asked.affinity = StoredAffinity(
            name="block",
            pairwise=whole.pairwise,
            weights=rows[None],
            group_of=torch.zeros(p + 60, dtype=torch.long),
            place_of=torch.arange(p + 60),
            key_of=torch.arange(p + 60)[None],
            queries=grid,
            keys=grid,
        )
    asked.run(tmp_path)


@pytest.mark.parametrize("way", ["embedded", "grouped", "kept"])
def test_chosen_words_alone_ask_of_a_clip(
    tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = TokenGrid((4, 3, 5), (1, 32, 25.6), (0, 15.5, 12.3), prefix=9, line=Line(WORDS, SPANS))
    queries = TokenLine.of(("square", "ground"), ((15, 21), (29, 35)))
    asked = Asked(embedded(queries, keys), text=False)
    if way != "embedded":
        theta, phi = vectors(2, 1), vectors(69, 2)[:1]  # all heads share their keys
        pairwise = Pairwise("embedded_gaussian", scale=0.6)
        asked.affinity = GroupedAffinity("block", pairwise, theta, phi, queries, keys)
    if way == "kept":
        monkeypatch.setattr(sources, "LIMIT", 4000)
    for word in range(2):
        for head in ("mean", "max", 0, 1, 2):
            expected = asked.affinity.map(token=word, head=head)  # type: ignore[arg-type]
            asked.add(expected, {"frame": 2, "y": 9, "x": 7, "word": word}, word, head=head)
            assert expected.off_weights is not None
            asked.words(expected.off_weights)
    for place in range(0, 60, 5):
        frame, y, x = keys.centre(place)
        at = {"frame": int(frame), "y": y, "x": x}
        asked.add(asked.affinity.map(direction="to", **at), {**at, "word": -1}, place)
    asked.run(tmp_path)


def test_boxes_look_at_a_clip_and_at_each_other(tmp_path: Path) -> None:
    boxes = TokenBoxes.of(BOXES, NAMES)
    for keys in (TokenGrid((4, 3, 5), (1, 32, 25.6), (0, 15.5, 12.3)), boxes):
        asked = Asked(embedded(boxes, keys), text=False)
        for frame, y, x in ((1, 70, 14), (1, 40, 28), (2, 30, 90), (0, 20, 20), (3, 1, 1)):
            token = boxes.nearest(frame=frame, y=y, x=x)
            for head in ("mean", "max", 0, 1):
                at = {"frame": frame, "y": y, "x": x}
                asked.add(asked.affinity.map(head=head, **at), at, token, head=head)  # type: ignore[arg-type]
        asked.run(tmp_path)


def test_nodes_look_at_their_neighbours(tmp_path: Path) -> None:
    nodes = TokenNodes.of(PLACES, ("a", "b", "c", "d", "e"))
    asked = Asked(embedded(nodes, nodes), text=False)
    for y, x in ((30, 40), (31, 190), (119, 121), (200, 60), (0, 0)):
        token = nodes.nearest(frame=0, y=y, x=x)
        for head in ("mean", "max", 0, 1):
            at = {"frame": 0, "y": y, "x": x}
            asked.add(asked.affinity.map(head=head, **at), at, token, head=head)  # type: ignore[arg-type]
    asked.run(tmp_path)
