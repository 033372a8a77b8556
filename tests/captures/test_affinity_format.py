"""Any set of keys, table of position, token and kept weight in a file: read as it was saved."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import torch
from safetensors.torch import load, save
from torch import Tensor

from nlviz.affinity.base import Affinity
from nlviz.affinity.bias import Bias, KeyBias, OffsetBias
from nlviz.affinity.grid import TokenGrid
from nlviz.affinity.key_sets import KeySets
from nlviz.affinity.pairwise import Pairwise
from nlviz.affinity.position_terms import AxisBias, PairBias
from nlviz.affinity.stored import StoredAffinity
from nlviz.captures.capture import Affinities, Capture, read_capture
from nlviz.errors import UnreadableCheckpoint
from tests.captures.test_file_format import T, block, changed, made

GRID = TokenGrid((T, 5, 7), (1, 8, 8), (0, 3.5, 3.5), prefix=2)
ALL, HEADS = GRID.size + 2, 3
NAMES = ("cls", "registers.0")


def sets() -> KeySets:
    reach = torch.rand(6, ALL, generator=torch.Generator().manual_seed(2)) < 0.4
    reach[:, 0] = True
    return KeySets.of(torch.arange(ALL) * 5 % 6, reach, "A query reaches some keys.")


BIASES: dict[str, Callable[[], Bias]] = {
    "key": lambda: KeyBias(torch.randn(1, ALL)),
    "offset": lambda: OffsetBias(torch.randn(HEADS, 7, 9, 13)),
    "offset, in steps": lambda: OffsetBias(torch.randn(1, 3, 5, 7), (1, 1, 2), torch.randn(1, 2)),
    "axes": lambda: AxisBias(*(torch.randn(HEADS, GRID.size, n) for n in GRID.shape)),
    "pairs": lambda: PairBias(
        torch.randn(1, 8, 9), torch.arange(GRID.size) % 8, torch.arange(ALL) % 9
    ),
}


def tokens(**changes: Any) -> Capture:
    """Return a capture without features whose block has tokens without a place, named."""
    torch.manual_seed(4)
    given = {
        "queries": GRID,
        "keys": GRID,
        "theta": torch.randn(HEADS, ALL, 6),
        "phi": torch.randn(HEADS, ALL, 6),
        "token_names": NAMES,
        "apart_bias": torch.randn(1, 2, ALL),
        "support": sets(),
    }
    return replace(made(**{**given, **changes}), features=MappingProxyType({}))


def stored() -> Capture:
    torch.manual_seed(6)
    grid = replace(GRID, prefix=2)
    affinity = StoredAffinity(
        "mixed",
        Pairwise("embedded_gaussian"),
        torch.rand(4, HEADS, 36, 9).half(),
        torch.arange(ALL) % 4,
        torch.arange(ALL) // 4,
        torch.arange(36).reshape(4, 9) - 1,
        grid,
        grid,
        sets(),
        clip_shape=made().clip.shape,
        token_names=NAMES,
    )
    return replace(tokens(), affinities=Affinities({"a.nl": affinity}))


def again(capture: Capture, tmp_path: Path) -> tuple[Affinity, Affinity]:
    read = read_capture(capture.save(tmp_path / "c.nlviz"))
    assert dict(read.features) == {}
    return capture.affinities["a.nl"], read.affinities["a.nl"]


def assert_same(before: object, after: object) -> None:
    """Every field of two records is the same, tensors bit for bit."""
    assert type(after) is type(before)
    for field in fields(before):  # type: ignore[arg-type]
        mine, theirs = (getattr(record, field.name) for record in (before, after))
        if isinstance(mine, Tensor):
            assert torch.equal(mine, theirs), field.name
        elif isinstance(mine, Bias):
            assert_same(mine, theirs)
        else:
            assert mine == theirs, field.name


@pytest.mark.parametrize("bias", [None, *BIASES])
def test_embeddings_are_read_as_they_were(bias: str | None, tmp_path: Path) -> None:
    capture = tokens(bias=None if bias is None else BIASES[bias]())
    before, after = again(capture, tmp_path)
    assert_same(before, after)
    some = [0, 47, GRID.size - 1]
    assert torch.equal(after.rows(some), before.rows(some))
    for token in NAMES:
        assert (after.map(token=token).weights == before.map(token=token).weights).all()


def test_kept_weights_are_read_as_they_were(tmp_path: Path) -> None:
    before, after = again(stored(), tmp_path)
    assert_same(before, after)
    assert torch.equal(after.rows([3, 8]), before.rows([3, 8]))
    assert torch.equal(after.token_rows(), before.token_rows())


def with_tensor(content: bytes, key: str, change: Callable[[Tensor], Tensor | None]) -> bytes:
    """Return a file one of whose tensors was changed, or left out."""
    size = int.from_bytes(content[:8], "little")
    metadata = json.loads(content[8 : 8 + size])["__metadata__"]
    tensors = load(content)
    found = change(tensors.pop(key))
    return save(tensors if found is None else {**tensors, key: found}, metadata)


TENSORS: dict[str, tuple[Callable[[], Capture], str, Callable[[Tensor], Tensor | None], str]] = {
    "sets missing": (tokens, "set_of", lambda x: None, "0.set_of is missing"),
    "a set that is none": (tokens, "set_of", lambda x: x + 1, "one of 6 sets"),
    "too few queries": (tokens, "set_of", lambda x: x[:-3], "got 139 queries"),
    "a run beyond the keys": (tokens, "runs", lambda x: x + 99, "0.runs must hold numbers from 0"),
    "half a run": (tokens, "run_counts", lambda x: x - 1, "must be those of 0.runs"),
    "negative counts": (tokens, "run_counts", lambda x: -x, "numbers from 0"),
    "a fractional set": (tokens, "set_of", lambda x: x.float(), "must hold whole numbers"),
    "a token's bias of others": (
        tokens,
        "apart_bias",
        lambda x: x[:, :1].contiguous(),
        "0.apart_bias must be any x 2 x 142",
    ),
    "a table of two axes": (
        lambda: tokens(bias=BIASES["pairs"]()),
        "bias",
        lambda x: x[0].contiguous(),
        "0.bias must have 3 axes",
    ),
    "a pair beyond the table": (
        lambda: tokens(bias=BIASES["pairs"]()),
        "bias_rows",
        lambda x: x + 1,
        "0.bias_rows must hold numbers from 0 to 7",
    ),
    "an axis missing": (
        lambda: tokens(bias=BIASES["axes"]()),
        "bias_y",
        lambda x: None,
        "0.bias_y is missing",
    ),
    "weights without heads": (stored, "weights", lambda x: x[:, :0], "must hold numbers"),
    "a group that is none": (stored, "group_of", lambda x: x + 1, "0.group_of must hold"),
    "a key that is none": (stored, "key_of", lambda x: x + 999, "0.key_of must hold numbers"),
}


@pytest.mark.parametrize("damage", TENSORS)
def test_damaged_tensors_are_said_in_a_sentence(damage: str, tmp_path: Path) -> None:
    make, key, change, said = TENSORS[damage]
    content = make().save(tmp_path / "c.nlviz").read_bytes()
    with pytest.raises(UnreadableCheckpoint, match=said):
        read_capture(with_tensor(content, f"0.{key}", change))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (block("token_names", value=["cls"]), "each of 2 queries without a place has a name"),
        (block("kind", value="dense"), "kind must be embedded or stored"),
        (block("kind", value="stored"), "0.weights is missing"),
        (block("bias", value={"kind": "matrix"}), "bias.kind must be"),
        (block("bias", value={"kind": "offset", "step": [1, 0, 1]}), "whole number from 1"),
        (block("features", value=True), "0.features is missing"),
        (block("support", "said", value=7), "a support's said must be a text"),
    ],
)
def test_edited_headers_are_said_in_a_sentence(
    change: Callable[..., None], said: str, tmp_path: Path
) -> None:
    content = tokens(bias=BIASES["offset"]()).save(tmp_path / "c.nlviz").read_bytes()
    with pytest.raises(UnreadableCheckpoint, match=said):
        read_capture(changed(content, change))
