"""Captures of words, boxes and nodes as files: what is read is what was saved, nothing else is."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nlviz.captures.capture import Capture, read_capture
from nlviz.clips.graph import Graph
from nlviz.clips.text import Text
from nlviz.errors import UnreadableCheckpoint
from tests.words_and_boxes import of_boxes, of_film_and_words, of_nodes, of_words


def again(capture: Capture, folder: Path) -> Capture:
    return read_capture(capture.save(folder / "c.nlviz"))


@pytest.mark.parametrize("made", [of_words, of_film_and_words, of_boxes, of_nodes])
def test_what_is_read_is_what_was_saved(made: Callable[[], Capture], tmp_path: Path) -> None:
    before = made()
    after = again(before, tmp_path)
    for name, affinity in before.affinities.items():
        found = after.affinities[name]
        assert (found.queries, found.keys) == (affinity.queries, affinity.keys)
        assert found.support == affinity.support
        assert torch.equal(found.rows([0, 1]), affinity.rows([0, 1]))
    for one, other in ((before.clip, after.clip), (before.text, after.text)):
        assert type(one) is type(other)
        if isinstance(one, Text) and isinstance(other, Text):
            names = ("text", "tokens", "spans", "special", "written", "name", "digest", "shape")
            assert [getattr(one, n) for n in names] == [getattr(other, n) for n in names]
    assert after.clip.boxes == before.clip.boxes
    if isinstance(before.clip, Graph) and isinstance(after.clip, Graph):
        assert after.clip.names == before.clip.names
        for name in ("edges", "features", "places", "frames"):
            assert np.array_equal(getattr(after.clip, name), getattr(before.clip, name)), name
    assert (after.text is after.clip) == (before.text is before.clip)


def test_a_word_is_asked_for_in_a_capture_that_was_read(tmp_path: Path) -> None:
    after = again(of_film_and_words(), tmp_path)
    row = after.affinities["layer"].map(token="dog")
    assert row.off_weights is not None and row.off_weights.shape == (6,)
    text = again(of_words(), tmp_path)
    assert text.affinities["causal"].map(token="sees").word == "sees"


def test_the_words_of_all_blocks_stand_once_in_the_file(tmp_path: Path) -> None:
    header = _header(of_words().save(tmp_path / "c.nlviz"))
    assert len(header["lines"]) == 1
    assert [block["queries"]["words"] for block in header["blocks"]] == [0, 0]


def hostile(header: dict[str, Any], where: str, value: Any) -> None:
    *path, last = where.split(".")
    part: Any = header
    for step in path:
        part = part[int(step) if step.isdecimal() else step]
    part[last] = value


@pytest.mark.parametrize(
    ("made", "where", "value", "told"),
    [
        (of_words, "lines.0.special", [99], "special words are numbers from 0 to 12"),
        (of_words, "lines.0.spans", [[0, 0]], "13 words have as many spans"),
        (of_words, "lines.0.words", ["a"], "13 words|1 words|shape"),
        (of_words, "blocks.0.queries.words", 7, "words are those of a list of 1, got 7"),
        (of_words, "blocks.0.queries.words", None, "a line must have words"),
        (of_words, "blocks.0.queries.kind", "cube", "kind must be grid, line, boxes or nodes"),
        (of_words, "clip.text.tokens.spans", [[5, 2]] * 13, "a span must end where it begins"),
        (of_words, "clip.text.tokens.spans", [[0, 999]] * 13, "a span is the characters"),
        (of_words, "clip.text.tokens.words", [], "1 to 65536 tokens|spans"),
        (of_words, "clip.text.text", 3, "text must be a text, got 3"),
        (of_words, "clip.text.more", "x", "no field 'more'"),
        (of_film_and_words, "blocks.0.keys.line", None, "theta|phi|words|fits|names"),
        (of_film_and_words, "blocks.0.keys.prefix", 2, "is a word, got 6 words"),
        (of_film_and_words, "text.text.tokens.words", ["a"], "spans"),
        (of_boxes, "blocks.0.queries.boxes", [[0, 9, 0, 3, 5]] * 3, "bottom below top"),
        (of_boxes, "blocks.0.queries.boxes", [[0, 1, 0, 3]] * 3, "a list of 5"),
        (of_boxes, "clip.boxes", [[9, 0, 0, 5, 5]], "a box must lie in the clip"),
        (of_boxes, "clip.boxes", [[0, 5, 0, 5, 5]], "bottom below top"),
        (of_boxes, "blocks.0.queries.labels", ["dog"], "as many labels"),
        (of_nodes, "clip.nodes", ["a"], "clip.edges must hold numbers from 0 to 0"),
        (of_nodes, "clip.nodes", list("abcdefg"), "clip.features must be 7 x any"),
        (of_nodes, "blocks.0.keys.places", [[0, 0]], "nodes have the shape"),
    ],
)
def test_hostile_files_are_refused_in_a_sentence(
    made: Callable[[], Capture], where: str, value: Any, told: str, tmp_path: Path
) -> None:
    path = made().save(tmp_path / "c.nlviz")
    header = _header(path)
    hostile(header, where, value)
    _write(path, header)
    if where == "blocks.0.keys.line":  # words are no must: the tokens have no place and no names
        assert read_capture(path).affinities["layer"].keys.line is None
        return
    with pytest.raises(UnreadableCheckpoint, match=told):
        read_capture(path)


def _header(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(_whole(path)["__metadata__"]["capture"])
    return found


def _whole(path: Path) -> dict[str, Any]:
    content = path.read_bytes()
    (size,) = struct.unpack("<Q", content[:8])
    found: dict[str, Any] = json.loads(content[8 : 8 + size])
    return found


def _write(path: Path, header: dict[str, Any]) -> None:
    content = path.read_bytes()
    (size,) = struct.unpack("<Q", content[:8])
    whole = json.loads(content[8 : 8 + size])
    whole["__metadata__"]["capture"] = json.dumps(header)
    told = json.dumps(whole).encode()
    told += b" " * (-len(told) % 8)
    path.write_bytes(struct.pack("<Q", len(told)) + told + content[8 + size :])
