"""Containers of words, boxes and nodes for the tests: every row is known to numpy."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt

from nlviz.picture import GROUND, colour_table
from nlviz.web.payloads.container import pack
from nlviz.web.payloads.live_view import display_options
from tests.web.live_view.containers import (
    Floats,
    embedded,
    frame_sections,
    grid,
    header,
    log_normaliser,
    square_clip,
)

Sections = dict[str, npt.NDArray[Any]]
Span = tuple[int, int]

SENTENCE = "A dog chases a ball over the grass, and the dog wins."
ARABIC = "الكلب يطارد الكرة فوق العشب الأخضر."
HEBREW = "הכלב רודף אחרי הכדור על הדשא הירוק."
CHINESE = "小狗在草地上追着红色的球跑。"
MIXED = "The word שלום means peace, and سلام too."


def words_of(text: str, *, alone: bool = False) -> list[Span]:
    """Return the spans of words that spaces part, or of every character that is no space."""
    spans: list[Span] = []
    for at, sign in enumerate(text):
        if sign.isspace():
            continue
        joins = spans and spans[-1][1] == at and not alone and sign.isalnum()
        joins = joins and text[spans[-1][0]].isalnum()
        if joins:
            spans[-1] = (spans[-1][0], at + 1)
        else:
            spans.append((at, at + 1))
    return spans


def line(
    words: list[str], spans: list[Span], *, special: list[int] | None = None, first: float = 0.0
) -> dict[str, Any]:
    """Return the grid of a line of words, as the payload says it."""
    return {
        "kind": "line",
        "shape": (1, 1, len(words)),
        "stride": (1.0, 1.0, 1.0),
        "origin": (0.0, 0.0, first),
        "words": words,
        "spans": spans,
        "special": special or [],
    }


def text_head(
    text: str, words: list[str], spans: list[Span], sources: list[dict[str, Any]], **more: Any
) -> dict[str, Any]:
    """Return the header of a text without pictures."""
    return {
        "clip": {
            "name": text[:40],
            "frames": 1,
            "height": 1,
            "width": len(words),
            "times": [0.0],
            "text": text,
            "tokens": words,
            "spans": spans,
            "special": sources[0]["queries"].get("special", []),
        },
        "model": {"name": "toy", "about": "not trained", "device": "CPU"},
        "block": {"name": "encoder.0", "about": "embedded Gaussian", "parity": None},
        "pictures": {"kind": "text", "sections": []},
        "colours": {"sequential": "lut_seq", "diverging": "lut_div", "ground": asdict(GROUND)},
        "display": display_options(),
        "sources": sources,
        "query": {"frame": 0, "y": 0, "x": min(2, len(words) - 1)},
        "query_rule": "the first word",
        "objects": [],
        "notes": [],
        "view": {},
        "channel": "test",
        **more,
    }


def tables() -> Sections:
    """Return the colour tables that every container has."""
    return {"lut_seq": colour_table("sequential"), "lut_div": colour_table("diverging")}


def vectors(heads: int, tokens: int, d: int, seed: int = 0, size: float = 1.0) -> Floats:
    """Return random embeddings (heads, tokens, d)."""
    rng = np.random.default_rng(seed)
    found: Floats = (size * rng.normal(size=(heads, tokens, d))).astype(np.float32)
    return found


def self_attention(
    of: dict[str, Any], *, heads: int = 3, d: int = 16, seed: int = 0, key: str = "learned"
) -> tuple[dict[str, Any], Sections]:
    """Return a source whose queries and keys are the same line, and its sections."""
    n = of["shape"][2]
    theta, phi = (vectors(heads, n, d, seed + i, 1.3 / d**0.25) for i in (0, 1))
    sections: Sections = {
        f"{key}.theta": theta.astype(np.float16),
        f"{key}.phi": phi.astype(np.float16),
        f"{key}.lse": log_normaliser(
            theta.astype(np.float16).astype(np.float32),
            phi.astype(np.float16).astype(np.float32),
            1.0,
        )
        if n <= 2048
        else np.zeros((heads, n), np.float32),
    }
    entry = embedded(key, of, of, heads=heads, log_normaliser=f"{key}.lse", signed=False)
    return entry, sections


def text_container(
    text: str = SENTENCE, spans: list[Span] | None = None, *, heads: int = 3, **more: Any
) -> bytes:
    """Return a container of a text whose words look at each other, with special ends."""
    spans = words_of(text) if spans is None else spans
    words = [text[a:b] for a, b in spans]
    words, spans = ["<s>", *words, "</s>"], [(0, 0), *spans, (len(text), len(text))]
    of = line(words, spans, special=[0, len(words) - 1])
    entry, sections = self_attention(of, heads=heads)
    signed, others = self_attention(of, heads=1, seed=7, key="signed")
    signed |= {"pairwise": "dot_product", "signed": True, "softmax": False, "log_normaliser": None}
    head = text_head(text, words, spans, [entry, signed], **more)
    return pack(head, {**tables(), **sections, **others})


def long_container(tokens: int = 4096, heads: int = 12, d: int = 64, seed: int = 1) -> bytes:
    """Return a container of a long text, for the figures."""
    rng = np.random.default_rng(seed)
    letters = np.array(list("etaoinshrdlucmfwypvbgk"))
    words = ["".join(rng.choice(letters, rng.integers(2, 9))) for _ in range(tokens)]
    spans, at = [], 0
    for word in words:
        spans.append((at, at + len(word)))
        at += len(word) + 1
    of = line(words, spans)
    entry, sections = self_attention(of, heads=heads, d=d)
    entry["log_normaliser"] = None
    return pack(text_head(" ".join(words), words, spans, [entry]), {**tables(), **sections})


def cross_container() -> bytes:
    """Return a container of words of one text that look at those of another."""
    asking = ["wins", "dog", "the", "."]
    spans = words_of(SENTENCE)
    words = [SENTENCE[a:b] for a, b in spans]
    queries = line(asking, [(0, 4), (5, 8), (9, 12), (13, 14)], first=len(words))
    keys = line(words, spans)
    theta, phi = vectors(2, 4, 8, 3), vectors(2, len(words), 8, 4)
    lse = log_normaliser(theta, phi, 1.0)
    sections = {"learned.theta": theta, "learned.phi": phi, "learned.lse": lse}
    entry = embedded("learned", queries, keys, heads=2, log_normaliser="learned.lse")
    head = text_head(SENTENCE, words, spans, [entry], query={"frame": 0, "y": 0, "x": len(words)})
    return pack(head, {**tables(), **sections})


PROMPT = "<video> What does the square do? It moves right."


def film_container(*, causal: bool = True, heads: int = 2, **more: Any) -> bytes:
    """Return a container of a clip with a text beside it, both of which ask and are asked."""
    clip = square_clip(4)
    t, height, width, _ = clip.shape
    tokens = grid((t, height // 16, width // 16), (1, 16, 16))
    spans = [(0, 7), *words_of(PROMPT)[3:]]
    words = [PROMPT[a:b] for a, b in spans]
    of = {"words": words, "spans": spans, "special": [0]}
    both = {**tokens, "kind": "grid", "line": of}
    p, n, d = len(words), int(np.prod(tokens["shape"])), 12
    theta, phi = vectors(heads, p + n, d, 5, 0.9), vectors(heads, p + n, d, 6, 0.9)
    reach = np.ones((p, p + n), np.uint8)
    if causal:
        reach[:, :p] = np.tril(reach[:, :p])
    logits = np.einsum("hqd,hkd->hqk", theta, phi)
    logits[:, :p] = np.where(reach, logits[:, :p], -np.inf)
    lse = np.log(np.exp(logits).sum(-1)).astype(np.float32)
    sections = {
        **frame_sections(clip),
        "learned.theta": theta,
        "learned.phi": phi,
        "learned.lse": lse[:, p:],
        "learned.lse_words": lse[:, :p],
        "learned.reach": reach,
    }
    entry = embedded(
        "learned",
        both,
        both,
        heads=heads,
        prefix=p,
        prefix_name="the text",
        query_prefix=p,
        log_normaliser="learned.lse",
        log_normaliser_apart="learned.lse_words",
        word_reach="learned.reach",
    )
    text = {"text": PROMPT, "tokens": words, "spans": spans, "special": [0]}
    return pack(header(clip, [entry], text=text, **more), sections)


BOXES = [(1, 20, 10, 80, 50), (1, 30, 20, 50, 36), (2, 16, 60, 70, 110), (0, 8, 4, 40, 60)]
NAMES = ["person", "hand", "dog", "tree"]


def boxes(of: list[tuple[int, ...]] | None = None) -> dict[str, Any]:
    """Return the grid of some boxes (frame, top, left, bottom, right)."""
    shown = BOXES if of is None else of
    return {
        "kind": "boxes",
        "shape": (1, 1, len(shown)),
        "stride": (1.0, 1.0, 1.0),
        "origin": (0.0, 0.0, 0.0),
        "boxes": shown,
        "names": NAMES[: len(shown)],
    }


def boxes_container(*, keys_too: bool = False, **more: Any) -> bytes:
    """Return a container of boxes that look at the cells of a clip, or at each other."""
    clip = square_clip(4)
    t, height, width, _ = clip.shape
    queries = boxes()
    keys = boxes() if keys_too else grid((t, height // 8, width // 8), (1, 8, 8))
    n, d = int(np.prod(keys["shape"])), 8
    theta, phi = vectors(2, len(BOXES), d, 8), vectors(2, n, d, 9)
    sections = {
        **frame_sections(clip),
        "learned.theta": theta,
        "learned.phi": phi,
        "learned.lse": log_normaliser(theta, phi, 1.0),
    }
    entry = embedded("learned", queries, keys, heads=2, log_normaliser="learned.lse")
    return pack(header(clip, [entry], **more), sections)


PLACES = [(30.0, 40.0), (30.0, 200.0), (120.0, 120.0), (200.0, 60.0), (190.0, 260.0)]


def nodes_container(**more: Any) -> bytes:
    """Return a container of a graph of five nodes; edges lead to neighbours alone."""
    plane = np.full((1, 240, 320, 3), 255, np.uint8)
    names = ["Ada", "Ben", "Cleo", "Dan", "Eve"]
    of = {
        "kind": "nodes",
        "shape": (1, 1, len(PLACES)),
        "stride": (1.0, 1.0, 1.0),
        "origin": (0.0, 0.0, 0.0),
        "places": PLACES,
        "names": names,
    }
    weights = np.zeros((1, 2, 5, 5), np.float32)
    rng = np.random.default_rng(2)
    reach = np.eye(5, dtype=bool)
    for a, b in ((0, 1), (0, 2), (1, 2), (2, 3), (2, 4), (3, 4)):
        reach[a, b] = reach[b, a] = True
    raw = np.exp(rng.normal(size=(2, 5, 5))) * reach
    weights[0] = raw / raw.sum(-1, keepdims=True)
    sections = {
        **frame_sections(plane),
        "learned.theta": np.zeros((2, 5, 1), np.float32),
        "learned.phi": np.zeros((2, 5, 1), np.float32),
        "learned.bias": np.where(reach, np.log(np.maximum(weights[0], 1e-9)), -np.inf).astype(
            np.float32
        ),
        "learned.rows": np.arange(5, dtype=np.int32),
        "learned.columns": np.arange(5, dtype=np.int32),
    }
    entry = embedded(
        "learned",
        of,
        of,
        heads=2,
        bias={
            "kind": "pairs",
            "values": "learned.bias",
            "rows": "learned.rows",
            "columns": "learned.columns",
        },
    )
    head = header(plane, [entry], query={"frame": 0, "y": 120, "x": 120}, **more)
    head["clip"]["name"] = "friends"
    return pack(head, sections)
