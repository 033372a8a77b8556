"""Pickles read as data: nothing is imported, nothing is called.

Python's own unpickler can be limited to some names, but it still allocates what a file claims
(a memo index of two thousand million, for instance), copies every array and lets BUILD write into
classes. This reader knows the opcodes that weights are written with, in protocols 2 to 5, and
nothing else. Names become the records of ``pickle_names``; long byte strings stay views of the
file, so that arrays of a 300 MB pickle are never copied.

Opcodes and their meaning: Lib/pickletools.py of Python.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from nlviz.errors import UnreadableCheckpoint, UnsafeCheckpoint
from nlviz.zoo.files.bytes import Source
from nlviz.zoo.files.claims import ArrayClaim, ArrayKind, Inert, Storage, TensorClaim
from nlviz.zoo.files.pickle_names import (
    Forbidden,
    Foreign,
    Stand,
    StorageKind,
    full_name,
    hashable,
    stand_in,
)

MOST_OPCODES = 1_000_000
"""A checkpoint with an optimiser's state has some ten thousand."""

SHORT = 256
"""Byte strings up to this length become Python objects, longer ones stay views of the file."""

_MARK = object()
_SIZED = (str, bytes, list, tuple, dict, set, frozenset)


class _Cut(Exception):
    """The pickle ends in the middle."""


class PickleReader:
    """Reads the pickles that follow each other in a file.

    Attributes:
        at: index of the next byte.
        storages: torch storages that were mentioned, by key.
    """

    def __init__(self, source: Source, data: memoryview | None = None) -> None:
        """Read ``data``, or else the whole source."""
        self._source = source
        self._data = source.data if data is None else data
        self.at = 0
        self.storages: dict[str, Storage] = {}
        self._left = MOST_OPCODES
        self._given = 2 * len(source.data) + 2**16
        self._stack: list[object] = []
        self._memo: dict[int, object] = {}

    def load(self) -> object:
        """Return the next object.

        Raises:
            UnsafeCheckpoint: when it names anything but the parts of weights.
            UnreadableCheckpoint: when it is cut short, broken, or larger than any weights.
        """
        self._stack, self._memo = [], {}
        data, table = self._data, _TABLE
        end = len(data)
        try:
            while True:
                if self.at >= end:
                    raise _Cut
                code = data[self.at]
                self.at += 1
                if code == 0x2E:  # STOP
                    return self._stack.pop()
                self._left -= 1
                if self._left < 0:
                    raise UnreadableCheckpoint(
                        f"{self._source.name} has more than {MOST_OPCODES:,} pickle operations, "
                        "no weights have; save the state_dict alone"
                    )
                step = table.get(code)
                if step is None:
                    raise self._unknown(code)
                step(self)
        except _Cut:
            raise self._source.cut_short(f"its pickle ends at byte {end:,}") from None
        except Forbidden as call:
            raise self._unsafe(str(call)) from None
        except (ArithmeticError, LookupError, TypeError, ValueError, struct.error) as error:
            raise self._source.broken(
                f"the pickle makes no sense at byte {self.at:,} ({error})"
            ) from None

    def _unknown(self, code: int) -> UnsafeCheckpoint | UnreadableCheckpoint:
        if chr(code) in "io":  # INST, OBJ: call a class
            return self._unsafe(self._line() if chr(code) == "i" else "a class")
        return UnreadableCheckpoint(
            f"{self._source.name} uses pickle opcode {bytes([code])!r}, which weights of "
            "protocols 2 to 5 do not; save the state_dict again with torch.save"
        )

    def _unsafe(self, what: str) -> UnsafeCheckpoint:
        return UnsafeCheckpoint(
            f"{self._source.name} asks for {what[:120]}, which is no part of weights and could run "
            "code; nothing was run, save or get the state_dict alone"
        )

    # Parts of the file -------------------------------------------------------------------------

    def _bytes(self, size: int) -> memoryview:
        if size > len(self._data) - self.at:
            raise _Cut
        found = self._data[self.at : self.at + size]
        self.at += size
        return found

    def _number(self, form: str) -> int:
        size = struct.calcsize(form)
        value: int = struct.unpack(form, self._bytes(size))[0]
        return value

    def _line(self) -> str:
        for size in (SHORT, 4096):
            head = bytes(self._data[self.at : self.at + size])
            if (end := head.find(b"\n")) >= 0:
                self.at += end + 1
                return head[:end].decode("utf-8")
        raise _Cut if len(head) < size else ValueError("a name without an end")

    def _marked(self) -> list[object]:
        stack = self._stack
        for place in range(len(stack) - 1, -1, -1):
            if stack[place] is _MARK:
                found = stack[place + 1 :]
                del stack[place:]
                return found
        raise ValueError("the end of a list that never began")

    # Operations --------------------------------------------------------------------------------

    def _push(self, value: object) -> None:
        self._stack.append(value)

    def _text(self, size: int) -> None:
        self._push(str(self._bytes(size), "utf-8", "surrogatepass"))

    def _old_text(self, size: int) -> None:
        # Python 2 kept names and numbers alike in byte strings; the long ones are numbers.
        found = self._bytes(size)
        self._push(str(found, "latin-1") if size <= SHORT else found)

    def _raw(self, size: int) -> None:
        found = self._bytes(size)
        self._push(bytes(found) if size <= SHORT else found)

    def _long(self, size: int) -> None:
        if size > 64:
            raise ValueError(f"a whole number of {size} bytes")
        self._push(int.from_bytes(self._bytes(size), "little", signed=True))

    def _remember(self, index: int) -> None:
        self._memo[index] = self._stack[-1]

    def _recall(self, index: int) -> None:
        self._push(self._memo[index])

    def _global(self, module: object, name: object) -> None:
        if not isinstance(module, str) or not isinstance(name, str):
            raise TypeError("a name that is no text")
        self._push(stand_in(full_name(module, name)))

    def _global_lines(self) -> None:
        module = self._line()
        self._global(module, self._line())

    def _global_stack(self) -> None:
        name, module = self._stack.pop(), self._stack.pop()
        self._global(module, name)

    def _call(self) -> None:
        given, maker = self._stack.pop(), self._stack.pop()
        if isinstance(maker, Foreign):
            self._push(maker.called())
            return
        if not isinstance(maker, Stand):
            raise Forbidden(f"a call of {getattr(maker, 'name', type(maker).__name__)}")
        if not isinstance(given, tuple):
            raise TypeError("arguments that are no tuple")
        self._weigh(given)
        self._push(maker.make(*given))

    def _describe(self) -> None:
        # An object of a class, whose parts follow.
        if isinstance(self._stack[-2], Foreign):
            maker = self._stack[-2]
            del self._stack[-2:]
            self._push(maker.described())
        else:
            self._call()

    def _weigh(self, given: tuple[object, ...]) -> None:
        """Count what is copied: the same long text could be handed over a million times."""
        for value in given:
            if isinstance(value, _SIZED):
                self._given -= len(value)
        if self._given < 0:
            raise ValueError("it hands over more than the file has")

    def _call_named(self) -> None:
        self._stack.pop()  # arguments by keyword, which no stand-in has
        self._describe()

    def _build(self) -> None:
        state, target = self._stack.pop(), self._stack[-1]
        if isinstance(target, ArrayClaim):
            if isinstance(state, tuple):
                self._weigh(state)
            _fill_array(target, state)
        elif isinstance(target, ArrayKind):
            if isinstance(state, tuple) and len(state) > 1 and isinstance(state[1], str):
                target.order = state[1]
        elif isinstance(target, Inert):
            target.state = state
        elif isinstance(target, TensorClaim | dict):
            pass  # attributes of a state_dict, its _metadata for instance
        else:
            raise Forbidden(f"a change of {getattr(target, 'name', type(target).__name__)}")

    def _append(self) -> None:
        value = self._stack.pop()
        self._list().append(value)

    def _appends(self) -> None:
        values = self._marked()
        self._list().extend(values)

    def _list(self) -> list[object]:
        target = self._stack[-1]
        if isinstance(target, Inert):
            return target.parts
        if not isinstance(target, list):
            raise TypeError("an item for something that is no list")
        return target

    def _set_item(self) -> None:
        value, key = self._stack.pop(), self._stack.pop()
        self._dict()[hashable(key)] = value

    def _set_items(self) -> None:
        values = self._marked()
        if len(values) % 2:
            raise ValueError("a key without a value")
        target = self._dict()
        for key, value in zip(values[::2], values[1::2], strict=True):
            target[hashable(key)] = value

    def _dict(self) -> dict[object, object]:
        target = self._stack[-1]
        if isinstance(target, Inert):
            return target.items
        if not isinstance(target, dict):
            raise TypeError("a key for something that is no mapping")
        return target

    def _dict_of_marked(self) -> None:
        values = self._marked()
        self._push({})
        self._push(_MARK)
        self._stack.extend(values)
        self._set_items()

    def _add_items(self) -> None:
        values = self._marked()
        target = self._stack[-1]
        if not isinstance(target, set):
            raise TypeError("items for something that is no set")
        target.update(hashable(value) for value in values)

    def _tuple(self, count: int) -> None:
        if count > len(self._stack):
            raise IndexError("a tuple of more than there is")
        found = tuple(self._stack[len(self._stack) - count :])
        del self._stack[len(self._stack) - count :]
        self._push(found)

    def _protocol(self) -> None:
        if (protocol := self._number("<B")) > 5:
            raise ValueError(f"pickle protocol {protocol}")

    def _persistent(self) -> None:
        told = self._stack.pop()
        if not isinstance(told, tuple) or not told or told[0] not in ("storage", b"storage"):
            raise Forbidden(f"an outside object {told if isinstance(told, str) else ''}".strip())
        self._push(self._storage(*told[1:]))

    def _storage(
        self, kind: object, key: object, where: object, numel: object, view: object = None
    ) -> Storage:
        if not isinstance(kind, StorageKind) or type(numel) is not int or numel < 0:
            raise TypeError("a storage that is none")
        name = str(key)
        known = self.storages.get(name)
        if known is None:
            known = self.storages[name] = Storage(kind.dtype, name, numel)
        if known.dtype != kind.dtype or known.numel != numel:
            raise ValueError(f"the storage {name!r} has two sizes")
        if view is not None:  # torch 0.3 and older
            raise ValueError(f"the storage {name!r} is a view of another one")
        return known


def _fill_array(target: ArrayClaim, state: object) -> None:
    if not isinstance(state, tuple) or len(state) < 4:
        raise TypeError("an array without a state")
    shape, kind, fortran, raw = state[-4:]
    if not isinstance(kind, ArrayKind) or not isinstance(shape, tuple):
        raise TypeError("an array without a kind or a shape")
    if len(shape) > 8 or not all(type(n) is int and 0 <= n < 2**40 for n in shape):
        raise ValueError("an array of a shape that is none")
    target.kind, target.shape, target.fortran = kind, shape, bool(fortran)
    if isinstance(raw, str):
        raw = raw.encode("latin-1")
    if isinstance(raw, bytes):
        raw = memoryview(bytearray(raw))
    target.raw = raw if isinstance(raw, memoryview) else None  # a list: Python objects


_Step = Callable[[PickleReader], None]


def _sized(step: Callable[[PickleReader, int], None], form: str) -> _Step:
    return lambda reader: step(reader, reader._number(form))


def _constant(make: Callable[[], object]) -> _Step:
    return lambda reader: reader._push(make())


def _tuple_of(count: int) -> _Step:
    return lambda reader: reader._tuple(count)


def _unpacked(form: str) -> _Step:
    return lambda reader: reader._push(reader._number(form))


def _nothing(reader: PickleReader) -> None:
    """Skip a frame, which only says how much to read at once."""
    reader._number("<Q")


def _pop(reader: PickleReader) -> None:
    reader._stack.pop()


_R = PickleReader
_TABLE: dict[int, _Step] = {
    ord(code): step
    for code, step in {
        "(": _constant(lambda: _MARK),
        "0": _pop,
        "1": lambda reader: reader._marked() and None,
        "2": lambda reader: reader._push(reader._stack[-1]),
        "N": _constant(lambda: None),
        "\x88": _constant(lambda: True),
        "\x89": _constant(lambda: False),
        "]": _constant(list),
        "}": _constant(dict),
        ")": _constant(tuple),
        "\x8f": _constant(set),
        "J": _unpacked("<i"),
        "K": _unpacked("<B"),
        "M": _unpacked("<H"),
        "G": _unpacked(">d"),
        "\x8a": _sized(_R._long, "<B"),
        "\x8b": _sized(_R._long, "<I"),
        "X": _sized(_R._text, "<I"),
        "\x8c": _sized(_R._text, "<B"),
        "\x8d": _sized(_R._text, "<Q"),
        "U": _sized(_R._old_text, "<B"),
        "T": _sized(_R._old_text, "<I"),
        "C": _sized(_R._raw, "<B"),
        "B": _sized(_R._raw, "<I"),
        "\x8e": _sized(_R._raw, "<Q"),
        "\x96": _sized(_R._raw, "<Q"),
        "q": _sized(_R._remember, "<B"),
        "r": _sized(_R._remember, "<I"),
        "\x94": lambda reader: reader._remember(len(reader._memo)),
        "h": _sized(_R._recall, "<B"),
        "j": _sized(_R._recall, "<I"),
        "c": _R._global_lines,
        "\x93": _R._global_stack,
        "R": _R._call,
        "\x81": _R._describe,
        "\x92": _R._call_named,
        "b": _R._build,
        "a": _R._append,
        "e": _R._appends,
        "s": _R._set_item,
        "u": _R._set_items,
        "d": _R._dict_of_marked,
        "l": lambda reader: reader._push(reader._marked()),
        "t": lambda reader: reader._push(tuple(reader._marked())),
        "\x85": _tuple_of(1),
        "\x86": _tuple_of(2),
        "\x87": _tuple_of(3),
        "\x90": _R._add_items,
        "\x91": lambda reader: reader._push(
            frozenset(hashable(value) for value in reader._marked())
        ),
        "Q": _R._persistent,
        "\x80": _R._protocol,
        "\x95": _nothing,
    }.items()
}
