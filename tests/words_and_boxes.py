"""Captures of words, of words beside a clip and of boxes, made by hand; all sizes are different."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import numpy as np
import torch

from nlviz.affinity.causal import Causal
from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.affinity.grid import Line, TokenGrid
from nlviz.affinity.pairwise import Pairwise
from nlviz.affinity.token_boxes import TokenBoxes
from nlviz.affinity.token_line import TokenLine
from nlviz.affinity.token_nodes import TokenNodes
from nlviz.captures.capture import About, Affinities, Capture
from nlviz.clips.boxes import with_boxes
from nlviz.clips.clip import Clip
from nlviz.clips.graph import Graph
from nlviz.clips.text import Text, read_text, with_prompt

HEADS, D = 3, 5
WRITTEN = "The dog sees the ball, and the dog runs."
QUESTION = "What does the dog do?"
FILM = TokenGrid((4, 5, 7), (1, 8, 8), (0, 3.5, 3.5))
SHAPE = (4, 40, 56)
BOXES = [(0, 4, 6, 30, 40), (0, 10, 12, 20, 22), (2, 5, 20, 35, 50)]
PLACES = [(10, 10), (10, 90), (60, 50), (80, 20), (90, 70), (40, 110)]


def affinity(name: str, queries: TokenGrid, keys: TokenGrid, **more: Any) -> EmbeddedAffinity:
    generator = torch.Generator().manual_seed(len(name))
    theta, phi = (
        torch.randn(HEADS, grid.size + grid.prefix, D, generator=generator)
        for grid in (queries, keys)
    )
    return EmbeddedAffinity(
        name, Pairwise("embedded_gaussian", 0.7), theta, phi, queries, keys, **more
    )


def text_as_read() -> Text:
    """A text as a network saw it: a token before it, and words of which one is cut in two."""
    text = read_text(WRITTEN)
    tokens = ["<s>", *text.tokens[:-2], "ru", "ns", "."]
    (start, end), last = text.spans[-2], text.spans[-1]
    spans = [(0, 0), *text.spans[:-2], (start, start + 2), (start + 2, end), last]
    return text.cut(tokens, spans, special=[0])


def of_words(**more: Any) -> Capture:
    """A causal block and one without a mask over a text of 13 tokens."""
    text = text_as_read()
    line = TokenLine.part_of(text)
    blocks = {
        "causal": affinity("causal", line, line, support=Causal(), clip_shape=text.shape),
        "both ways": affinity("both ways", line, line, clip_shape=text.shape),
    }
    return _captured(text, blocks, **more)


def of_film_and_words() -> Capture:
    """A block whose queries and keys are the words of a question and the cells of a film."""
    question = read_text(QUESTION)
    line = Line(question.tokens, question.spans)
    grid = TokenGrid(FILM.shape, FILM.stride, FILM.origin, prefix=line.size, line=line)
    clip = with_prompt(_film(), question)
    return _captured(clip, {"layer": affinity("layer", grid, grid)})


def of_boxes() -> Capture:
    """A block whose queries are boxes and whose keys are the cells of a film."""
    boxes = TokenBoxes.of(BOXES, ("dog", "ball", "cat"))
    clip = with_boxes(_film(), BOXES)
    return _captured(clip, {"boxes": affinity("boxes", boxes, FILM, clip_shape=SHAPE)})


def of_nodes() -> Capture:
    """A block over the nodes of a graph."""
    nodes = TokenNodes.of(PLACES, tuple("abcdef"))
    edges = [(0, 1), (1, 2), (2, 0), (4, 5), (5, 3)]
    graph = Graph.of(edges, names=tuple("abcdef"), features=np.arange(24.0).reshape(6, 4))
    return _captured(graph, {"edges": affinity("edges", nodes, nodes)})


def _film() -> Clip:
    seed = np.random.default_rng(3)
    return Clip.from_frames(seed.integers(0, 256, (*SHAPE, 3), np.uint8), name="noise.mp4")


def _captured(clip: Clip, blocks: dict[str, EmbeddedAffinity], **more: Any) -> Capture:
    given: dict[str, Any] = {"logits": None, **more}
    return Capture(
        clip=clip,
        affinities=Affinities(blocks),
        features=MappingProxyType({}),
        blocks=MappingProxyType({}),
        about=About("made by hand", "not trained"),
        **given,
    )
