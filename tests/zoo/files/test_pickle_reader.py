"""The pickle reader beside Python's own, and on programs that nobody wrote."""

from __future__ import annotations

import pickle
import pickletools
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlviz.errors import UnreadableCheckpoint, UnsafeCheckpoint
from nlviz.zoo.files.bytes import Source
from nlviz.zoo.files.claims import ArrayClaim, ArrayKind, Inert, Storage, TensorClaim
from nlviz.zoo.files.pickle_names import Foreign, Stand, StorageKind
from nlviz.zoo.files.pickle_reader import SHORT, PickleReader

KEYS = st.none() | st.booleans() | st.integers(-(2**400), 2**400) | st.text() | st.binary()
LEAVES = KEYS | st.floats(allow_nan=False)
OBJECTS = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(KEYS, inner)
        | st.lists(inner, max_size=5).map(tuple)
        | st.frozensets(KEYS)
        | st.sets(KEYS)
    ),
    max_leaves=30,
)


def read(content: bytes) -> object:
    return PickleReader(Source("a.pkl", memoryview(bytearray(content)))).load()


@given(OBJECTS, st.integers(2, 5))
def test_plain_objects_are_those_of_pythons_own_reader(written: object, protocol: int) -> None:
    content = pickle.dumps(written, protocol)
    try:
        found = read(content)
    except UnsafeCheckpoint:
        # Protocol 2 has neither bytes nor sets: they are calls, which are not made.
        assert any(code.name == "GLOBAL" for code, _, _ in pickletools.genops(content))
        return
    assert found == pickle.loads(content) == written


# Each operation that the reader knows, with arguments that make sense, and some that do not.
NUMBERS = st.sampled_from([0, 1, 2, 3, 7, 255])
TEXTS = st.sampled_from(
    [b"", b"a", b"storage", b"os", b"system", b"torch", b"torch._utils", b"_rebuild_tensor_v2",
     b"FloatStorage", b"collections", b"OrderedDict", b"numpy", b"dtype", b"f4", b"builtins"]
)  # fmt: skip


def sized(code: bytes, width: int) -> st.SearchStrategy[bytes]:
    return TEXTS.map(lambda text: code + len(text).to_bytes(width, "little") + text)


OPERATIONS = st.one_of(
    st.sampled_from([bytes([code]) for code in b"(012N\x88\x89]})\x8f\x94\x93R\x81\x92baesudlt"]),
    st.sampled_from([bytes([code]) for code in b"\x85\x86\x87\x90\x91Qio"]),
    st.tuples(st.sampled_from([b"K", b"q", b"h", b"\x80"]), NUMBERS).map(
        lambda pair: pair[0] + bytes([pair[1]])
    ),
    st.tuples(st.sampled_from([b"J", b"r", b"j"]), st.binary(min_size=4, max_size=4)).map(b"".join),
    sized(b"U", 1),
    sized(b"C", 1),
    sized(b"\x8c", 1),
    sized(b"X", 4),
    sized(b"\x8a", 1),
    sized(b"\x8e", 8),
    st.tuples(TEXTS, TEXTS).map(lambda names: b"c" + names[0] + b"\n" + names[1] + b"\n"),
)
HARMLESS = (
    type(None), bool, int, float, str, bytes, memoryview, list, tuple, dict, set, frozenset,
    ArrayClaim, ArrayKind, Inert, Storage, TensorClaim, Stand, Foreign, StorageKind, object,
)  # fmt: skip


@given(st.lists(OPERATIONS, max_size=40))
def test_any_program_is_data_or_is_refused(operations: list[bytes]) -> None:
    before = set(sys.modules)
    try:
        found = read(b"".join(operations) + b".")
    except (UnreadableCheckpoint, UnsafeCheckpoint) as error:
        assert "\n" not in str(error)
    else:
        assert type(found) in HARMLESS
    assert set(sys.modules) == before


@given(st.binary(min_size=SHORT + 1, max_size=2 * SHORT))
def test_long_bytes_are_views_of_the_file(content: bytes) -> None:
    found = read(pickle.dumps(content, 4))
    assert isinstance(found, memoryview)
    assert found == content


@pytest.mark.parametrize("module", ["os", "builtins", "posix", "subprocess"])
def test_a_name_of_code_is_refused_before_anything_is_made(module: str) -> None:
    with pytest.raises(UnsafeCheckpoint, match=module):
        read(b"\x80\x02c" + module.encode() + b"\nsystem\nX\x02\0\0\0ls\x85R.")
