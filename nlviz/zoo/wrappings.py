"""Names that trainers put before and into the keys of a network, taken off where the rest fits.

No list of trainers is needed: a beginning of keys, or a part in their middle, is taken off where
what is left are the keys of a layout.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from torch import Tensor

from nlviz.families.reading.checkpoint import Checkpoint

# Parts that PyTorch itself adds to names: compiled, sharded and checkpointed modules.
_OF_TORCH = ("_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")
_LEAST_SHARE = 0.1  # of all keys, that a beginning must have to be one of a network
_FEWEST = 4  # tensors of a network
_MOST_TRIED = 48
_AVERAGED = ("ema", "averag", "swa", "shadow", "momentum", "target")
_ALIKE = 0.9  # share of keys that two copies of a network have in common


@dataclass(frozen=True, eq=False)
class Unwrapped:
    """One way of reading a file: some of its tensors under names without wrappers.

    Attributes:
        checkpoint: those tensors by the names that are left.
        part: how a user asks for it: the entries of the file that lead there and the beginning of
            the keys, joined by dots; empty where the file is nothing but this network.
        taken_off: what was taken off the keys, in words; empty where nothing was.
        outside: keys of the same mapping that do not have the beginning.
    """

    checkpoint: Checkpoint
    part: str
    taken_off: str = ""
    outside: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class _Keys:
    tensors: Mapping[str, Tensor]
    prefix: str = ""
    removed: tuple[str, ...] = ()
    outside: tuple[str, ...] = ()


def ways_to_read(checkpoint: Checkpoint, part: str | None = None) -> Iterator[Unwrapped]:
    """Yield the ways of reading a file, the file as it is first.

    Args:
        checkpoint: the file.
        part: only what has this name, or a part of its name.

    >>> import torch
    >>> from pathlib import Path
    >>> keys = ("net.a._orig_mod.bias", "net.b.bias", "net.c.bias", "net.d.bias", "loss.weight")
    >>> file = Checkpoint(Path("x.ckpt"), "torch zip", {key: torch.zeros(2) for key in keys})
    >>> [(way.part, way.taken_off, len(way.checkpoint.tensors)) for way in ways_to_read(file)][:3]
    [('', '', 5), ('', '_orig_mod.', 5), ('net', 'net. and _orig_mod.', 4)]
    """
    mappings: list[tuple[str, Callable[[], Mapping[str, Tensor]]]] = [
        (checkpoint.wrapper, lambda: checkpoint.tensors),
        *((path, other.read) for path, other in checkpoint.others.items()),
    ]
    for path, read in mappings:
        for keys in _ways(read()):
            name = ".".join(filter(None, (path, keys.prefix.rstrip("."))))
            if part is not None and not _named(name, part):
                continue
            off = [*([keys.prefix] if keys.prefix else []), *(f"{part}." for part in keys.removed)]
            yield Unwrapped(
                replace(checkpoint, tensors=keys.tensors, wrapper=path, others={}),
                name,
                " and ".join(off),
                keys.outside,
            )


def copies(checkpoint: Checkpoint, taken: Unwrapped) -> tuple[str, ...]:
    """Return the names of further copies of what was taken: averages, a teacher, a student.

    >>> import torch
    >>> from pathlib import Path
    >>> keys = [f"{who}.layer{n}.bias" for who in ("net", "net_ema") for n in range(5)]
    >>> file = Checkpoint(Path("x.ckpt"), "torch zip", {key: torch.zeros(2) for key in keys})
    >>> first = next(way for way in ways_to_read(file) if way.part)
    >>> first.part, copies(file, first)
    ('net', ('net_ema',))
    """
    own = set(taken.checkpoint.tensors)
    # The same network may stand a level deeper here than in its copy.
    forms = [own]
    for prefix in _beginnings(own, least=_ALIKE * len(own)):
        forms.append({key.removeprefix(prefix) for key in own if key.startswith(prefix)})
    found = []
    mappings = [(checkpoint.wrapper, tuple(checkpoint.tensors))]
    mappings += [(path, other.keys) for path, other in checkpoint.others.items()]
    for path, keys in mappings:
        bare = [_ADDED_BY_TORCH.sub("", key) for key in keys]
        for prefix in ("", *_beginnings(bare, least=_ALIKE * len(own))):
            inside = {key.removeprefix(prefix) for key in bare if key.startswith(prefix)}
            name = ".".join(filter(None, (path, prefix.rstrip("."))))
            alike = any(len(inside & form) >= _ALIKE * len(form) for form in forms)
            if alike and not _one_within_other(name, taken.part):
                found.append(name)
                break
    return tuple(found)


def _one_within_other(a: str, b: str) -> bool:
    return a == b or not a or not b or f"{a}.".startswith(f"{b}.") or f"{b}.".startswith(f"{a}.")


def _named(name: str, part: str) -> bool:
    """Return whether the parts of a name hold those that were asked for, in a row."""
    asked = part.strip(".")
    return name == asked or f".{asked}." in f".{name}."


def _ways(tensors: Mapping[str, Tensor]) -> Iterator[_Keys]:
    whole = _Keys(tensors)
    yield whole
    bare = _without(whole, _OF_TORCH)
    if bare is not None:
        yield bare
    start = bare or whole
    tried = 0
    for first in (start, *_behind(start)):
        if first is not start:
            yield first
            tried += 1
        for inner in _inner_parts(first.tensors):
            if tried >= _MOST_TRIED:
                return
            if (cut := _without(first, (inner,))) is not None:
                tried += 1
                yield cut


def _without(keys: _Keys, parts: tuple[str, ...]) -> _Keys | None:
    """Return the keys without some parts, or None where that changes nothing or two become one."""
    pattern = _parts(*parts)
    found = {pattern.sub("", key): tensor for key, tensor in keys.tensors.items()}
    if len(found) != len(keys.tensors) or found.keys() == keys.tensors.keys():
        return None
    removed = tuple(part for part in parts if any(f".{part}." in f".{k}" for k in keys.tensors))
    return replace(keys, tensors=found, removed=(*keys.removed, *removed))


def _parts(*parts: str) -> re.Pattern[str]:
    return re.compile(r"(?:(?<=\.)|^)(?:" + "|".join(map(re.escape, parts)) + r")\.")


_ADDED_BY_TORCH = _parts(*_OF_TORCH)


def _behind(keys: _Keys) -> Iterator[_Keys]:
    """Yield what stands behind each beginning that many keys share, plain weights first."""
    for prefix in _beginnings(keys.tensors, least=_LEAST_SHARE * len(keys.tensors)):
        inside = {
            k.removeprefix(prefix): t for k, t in keys.tensors.items() if k.startswith(prefix)
        }
        outside = tuple(key for key in keys.tensors if not key.startswith(prefix))
        yield replace(keys, tensors=inside, prefix=prefix, outside=outside)


def _beginnings(keys: Iterable[str], *, least: float) -> list[str]:
    counts: Counter[str] = Counter()
    for key in keys:
        at = key.find(".")
        while at >= 0:
            counts[key[: at + 1]] += 1
            at = key.find(".", at + 1)
    shared = [prefix for prefix, n in counts.items() if n >= max(_FEWEST, least)]
    # Of a beginning and its own beginning with as many keys, the shorter one is tried first.
    return sorted(shared, key=lambda prefix: (_lateness(prefix), -counts[prefix], len(prefix)))


def _lateness(name: str) -> int:
    """Return 2 for a running average, 1 for a student, whose teacher is the one that is used."""
    lower = name.lower()
    return 2 if any(word in lower for word in _AVERAGED) else int("student" in lower)


def _inner_parts(tensors: Mapping[str, Tensor]) -> list[str]:
    """Return the parts of keys that could have been put into their middle, the commonest first."""
    counts: Counter[str] = Counter()
    for key in tensors:
        counts.update({part for part in key.split(".")[1:-1] if not part.isdigit()})
    least = max(_FEWEST, 2 * _LEAST_SHARE * len(tensors))
    return [part for part, n in counts.most_common(6) if n >= least]
