"""Five tasks on sequences of symbols whose answer is known, and lines of tokens that pose them.

A *line* is what a network sees: the source, the separator ``|``, and behind it the target so far.
The token that the network stands on when it answers is ``|`` or a symbol behind it: at ``|`` it
writes the first symbol of the target, at the first symbol the second, and at the last one ``|``
again, the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, cast, get_args

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from nlviz.errors import NlvizError, did_you_mean

TaskName = Literal["copy", "reverse", "shift", "sort", "recall"]
SEPARATOR, BLANK = "|", "."
SHIFT = 3
LETTERS = tuple("abcdefghijklmnop")
KEYS, VALUES = tuple("abcdefghijklmnopqrstuvwxyz"), tuple("0123456789")


@dataclass(frozen=True)
class Task:
    """What a network is asked for.

    Attributes:
        name: of the task.
        symbols: its alphabet; a symbol's id is its number here, the separator comes behind.
        said: what the answer is, in words.

    >>> TASKS["reverse"].answer("deab")
    ('b', 'a', 'e', 'd')
    """

    name: TaskName
    symbols: tuple[str, ...]
    said: str

    @property
    def example(self) -> str:
        """A text that poses it."""
        return "a 3 b 7 c 1 d 9 e 5 | c a e" if self.asks else "d e a b d a c k p g"

    @property
    def separator(self) -> int:
        """Id of the separator."""
        return len(self.symbols)

    @property
    def blank(self) -> int:
        """Id of the blank, which stands where a network writes all symbols at once."""
        return len(self.symbols) + 1

    @property
    def tokens(self) -> tuple[str, ...]:
        """The symbols, the separator and the blank, by id."""
        return (*self.symbols, SEPARATOR, BLANK)

    @property
    def asks(self) -> bool:
        """Whether the letters behind the separator are questions: recall."""
        return self.name == "recall"

    @property
    def positional(self) -> bool:
        """Whether each symbol of the target stands at one known place of the source."""
        return self.name in ("copy", "reverse", "shift")

    def answer(self, source: Sequence[str]) -> tuple[str, ...]:
        """Return the true target of a source; of recall, each key once and its value.

        Raises:
            NlvizError: when a symbol is not of the alphabet, or recall's source is not of pairs.

        >>> TASKS["shift"].answer("abcde"), TASKS["recall"].answer("a3b7a3")
        (('c', 'd', 'e', 'a', 'b'), ('a', '3', 'b', '7'))
        """
        ids = torch.tensor([self.ids(source)])
        if self.asks:
            known = dict(self._pairs(source))
            return tuple(symbol for pair in known.items() for symbol in pair)
        return tuple(self.symbols[i] for i in self.targets(ids)[0].tolist())

    def ids(self, symbols: Sequence[str]) -> list[int]:
        """Return the ids of symbols, the separator among them.

        Raises:
            NlvizError: when one of them is none of this task's.

        >>> TASKS["copy"].ids("ab|")
        [0, 1, 16]
        """
        known = {symbol: i for i, symbol in enumerate((*self.symbols, SEPARATOR))}
        if strange := [s for s in dict.fromkeys(symbols) if s not in known]:
            raise NlvizError(
                f"the task {self.name} knows the symbols {' '.join(self.symbols)} and the "
                f"separator {SEPARATOR}; got {', '.join(map(repr, strange[:5]))}"
            )
        return [known[symbol] for symbol in symbols]

    def cut(self, line: Int[Tensor, "1 tokens"]) -> int:
        """Return the place of the separator in a line, which is the length of the source.

        Raises:
            NlvizError: when it is no single line of a source and a separator.

        >>> TASKS["copy"].cut(torch.tensor([TASKS["copy"].ids("abc|a")]))
        3
        """
        at = (line[0] == self.separator).nonzero().flatten().tolist()
        if len(line) != 1 or len(at) != 1 or at[0] == 0:
            raise NlvizError(
                "a network over sequences takes one line, a source, one separator and what stands "
                f"behind it; got {len(line)} lines with separators at {at}"
            )
        return int(at[0])

    def targets(self, source: Int[Tensor, "batch n"]) -> Int[Tensor, "batch n"]:
        """Return the true targets of sources of ids; recall's depend on what is asked.

        Raises:
            NlvizError: for recall.
        """
        if self.name == "copy":
            return source
        if self.name == "reverse":
            return source.flip(1)
        if self.name == "shift":
            return source.roll(SHIFT, 1)
        if self.name == "sort":
            return source.sort(1).values
        raise NlvizError("what recall answers depends on the letters that are asked for")

    def asked(self, target: Sequence[int]) -> list[bool]:
        """Return whether the token behind each of these, ``|`` first, is for the network to write.

        >>> task = TASKS["recall"]
        >>> task.asked(task.ids("|a3b7"))
        [False, True, False, True, False]
        >>> TASKS["copy"].asked([16, 0, 1])
        [True, True, True]
        """
        if self.asks:
            return [i < len(KEYS) for i in target]
        return [True] * len(target)

    def _pairs(self, source: Sequence[str]) -> list[tuple[str, str]]:
        pairs = list(zip(source[::2], source[1::2], strict=False))
        if len(source) % 2 or any(k not in KEYS or v not in VALUES for k, v in pairs):
            raise NlvizError(
                "recall takes pairs of a letter and a digit, a 3 b 7 for instance; got "
                + " ".join(source)
            )
        return pairs


TASKS = MappingProxyType(
    {
        task.name: task
        for task in (
            Task("copy", LETTERS, "the same symbols again"),
            Task("reverse", LETTERS, "the symbols from the last to the first"),
            Task("shift", LETTERS, f"the last {SHIFT} symbols, then the ones before them"),
            Task("sort", LETTERS, "the symbols in the order of the alphabet"),
            Task(
                "recall",
                (*KEYS, *VALUES),
                "of each letter that is asked for, the digit that stood behind it",
            ),
        )
    }
)


def task_named(name: str) -> Task:
    """Return a task by its name.

    Raises:
        NlvizError: when there is no such task.

    >>> len(task_named("sort").symbols)
    16
    """
    if name not in TASKS:
        known = list(get_args(TaskName))
        raise NlvizError(
            f"a task is one of {', '.join(known)}; got {name!r}" + did_you_mean(name, known)
        )
    return TASKS[cast(TaskName, name)]


@dataclass(frozen=True, eq=False)
class Batch:
    """Sequences of one length with their answers.

    Attributes:
        source: (batch, n) ids.
        given: (batch, m) what stands behind the source: the separator, then the true target.
        wanted: (batch, m) the true next symbol at each of these, the separator at the end.
        counts: (m,) where the network is asked for it: everywhere, of recall at the letters.
    """

    source: Int[Tensor, "batch n"]
    given: Int[Tensor, "batch m"]
    wanted: Int[Tensor, "batch m"]
    counts: Bool[Tensor, " m"]


def drawn(task: Task, batch: int, length: int, generator: torch.Generator) -> Batch:
    """Draw sequences of a task.

    Args:
        task: the task.
        batch: number of sequences.
        length: symbols of each source; of recall an even number.
        generator: of the random numbers.

    >>> batch = drawn(TASKS["recall"], 2, 8, torch.Generator().manual_seed(0))
    >>> batch.source.shape, batch.given.shape, batch.counts.int().tolist()
    (torch.Size([2, 8]), torch.Size([2, 9]), [0, 1, 0, 1, 0, 1, 0, 1, 0])
    """
    cut = torch.full((batch, 1), task.separator)
    if not task.asks:
        source = torch.randint(len(task.symbols), (batch, length), generator=generator)
        target = task.targets(source)
        everywhere = torch.ones(length + 1, dtype=torch.bool)
        return Batch(source, torch.cat([cut, target], 1), torch.cat([target, cut], 1), everywhere)
    if length % 2 or length < 2:
        raise NlvizError(f"recall takes pairs, an even number of symbols; got {length}")
    pairs, n = length // 2, len(KEYS)
    value_of = torch.randint(len(VALUES), (batch, n), generator=generator)
    rounds = [torch.rand(batch, n, generator=generator).argsort(1) for _ in range(-(-pairs // n))]
    keys = torch.cat(rounds, 1)[:, :pairs]
    distinct = keys[:, : min(pairs, n)]
    order = torch.rand(distinct.shape, generator=generator).argsort(1)
    asked = distinct.gather(1, order)

    def paired(letters: Tensor) -> Tensor:
        return torch.stack([letters, value_of.gather(1, letters) + n], 2).flatten(1)

    target = paired(asked)
    letters = torch.arange(target.shape[1] + 1) % 2 == 1
    return Batch(paired(keys), torch.cat([cut, target], 1), torch.cat([target, cut], 1), letters)
