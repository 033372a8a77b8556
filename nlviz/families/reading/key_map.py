"""Tables of names: the key of a file on the left, the key of the network on the right."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from torch import Tensor

from nlviz.families.reading.checkpoint import Checkpoint

WRAPPERS = ("module.", "model.", "backbone.", "base_model.")

Further = Callable[[str], str | None]
Row = tuple[str, str] | tuple[str, str, Further]


def stripped(key: str, wrappers: Iterable[str] = WRAPPERS) -> str:
    """Return a key without the names of the wrappers around the network.

    >>> stripped("module.base_model.layer2.0.nl.theta.weight")
    'layer2.0.nl.theta.weight'
    """
    known = tuple(wrappers)
    while key.startswith(known):
        key = key.split(".", 1)[1]
    return key


def behind(pattern: str, ours: str, rows: Iterable[tuple[str, str]]) -> list[Row]:
    """Return rows with one more beginning on both sides.

    >>> behind("nl_(?P<i>[12])_", "nl{i}.", [("W_bias", "out.bias")])
    [('nl_(?P<i>[12])_W_bias', 'nl{i}.out.bias')]
    """
    return [(pattern + theirs, ours + name) for theirs, name in rows]


@dataclass(frozen=True, eq=False)
class Mapped:
    """The keys of a file under the network's names.

    Attributes:
        names: key of the file -> key of the network.
        by_name: key of the network -> tensor of the file.
        dropped: key of the file -> why it is not used.
        unmatched: keys of the file that no row fits.
    """

    names: Mapping[str, str]
    by_name: Mapping[str, Tensor]
    dropped: Mapping[str, str] = field(default_factory=dict)
    unmatched: tuple[str, ...] = ()


class _Group(str):
    """What a group of a pattern matched; ``{stage:+1}`` in a name adds 1 to it."""

    def __format__(self, spec: str) -> str:
        return str(int(self) + int(spec)) if spec else str(self)


class KeyMap:
    r"""A key layout as a table: pattern of a file's key, name in the network.

    A pattern must fit the whole key behind its wrappers. The name fills in the pattern's named
    groups, ``{stage:+1}`` with 1 added. A third entry renames the result further; where it returns
    None the row does not fit. The first row that fits counts.

    Args:
        *rows: the table.
        dropped: (pattern of a whole key, why it is not used), for keys that no row fits.
        wrappers: beginnings of keys that are left out.

    >>> layout = KeyMap((r"layer(?P<stage>\d)\.(?P<rest>.+)", "res{stage:+1}.{rest}"))
    >>> layout.name("module.layer3.0.bias"), layout.name("fc.bias")
    ('res4.0.bias', None)
    """

    def __init__(
        self,
        *rows: Row,
        dropped: Iterable[tuple[str, str]] = (),
        wrappers: Iterable[str] = WRAPPERS,
    ) -> None:
        self._rows = [(re.compile(row[0]), row[1], *row[2:]) for row in rows]
        self._dropped = [(re.compile(pattern), why) for pattern, why in dropped]
        self._wrappers = tuple(wrappers)

    def name(self, key: str) -> str | None:
        """Return the network's name of a key, or None where no row fits."""
        bare = stripped(key, self._wrappers)
        for pattern, ours, *further in self._rows:
            if m := pattern.fullmatch(bare):
                name: str | None = ours.format(**{k: _Group(v) for k, v in m.groupdict().items()})
                for rename in further:
                    name = None if name is None else rename(name)
                if name is not None:
                    return name
        return None

    def apply(
        self, checkpoint: Checkpoint, *, shaped: Callable[[Tensor, str], Tensor] | None = None
    ) -> Mapped:
        """Map the keys of a file.

        Args:
            checkpoint: the file.
            shaped: changes a tensor on its way, given its name in the network.
        """
        names: dict[str, str] = {}
        dropped: dict[str, str] = {}
        unmatched: list[str] = []
        for key in checkpoint.tensors:
            if (name := self.name(key)) is not None:
                names[key] = name
            elif why := next((w for p, w in self._dropped if p.fullmatch(key)), ""):
                dropped[key] = why
            else:
                unmatched.append(key)
        by_name = {name: checkpoint.tensors[key] for key, name in names.items()}
        if shaped is not None:
            by_name = {name: shaped(tensor, name) for name, tensor in by_name.items()}
        return Mapped(names, by_name, dropped, tuple(unmatched))
