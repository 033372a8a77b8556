"""Texts as lines of symbols: what networks over sequences of a task's alphabet take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nlviz.clips.clip import Clip
from nlviz.clips.text import Text
from nlviz.errors import NlvizError
from nlviz.families.reading.card import ModelCard
from nlviz.networks.sequence.positions import LONGEST
from nlviz.networks.sequence.tasks import BLANK, KEYS, SEPARATOR, TASKS, VALUES, Task, TaskName

TRAINED = (8, 64)  # symbols of the sources that the bundled networks saw in training
BEYOND = 8  # symbols that a network may write beyond the length of the source


def symbol_card(family: str, kind: str, paper: str, task: TaskName) -> ModelCard:
    """Return the card of a bundled network that learned a task, ``KIND.TASK``.

    >>> symbol_card("sequence", "muse", "", "copy").name
    'muse.copy'
    """
    return ModelCard(
        name=f"{kind}.{task}",
        family=family,
        weights=f"{kind}.{task}.safetensors",
        trained_for=f"trained to write {TASKS[task].said}",
        licence="Apache-2.0",
        paper=paper,
        labels="",
        input="a text of symbols, " + " ".join(TASKS[task].symbols),
        takes=("text",),
        example=TASKS[task].example,
    )


@dataclass(frozen=True, eq=False)
class Symbols:
    """A text read as symbols: each character that is no space is one.

    Attributes:
        task: whose symbols they are.
        text: what was written.
        source: the symbols before the separator, or all.
        given: those behind it.
        spans: the characters of ``text`` that each symbol of the source stands for.
        separated: where the separator stands in ``text``; None where there is none.
    """

    task: Task
    text: Text
    source: tuple[str, ...]
    given: tuple[str, ...]
    spans: tuple[tuple[int, int], ...]
    separated: int | None

    @property
    def asked(self) -> tuple[str, ...]:
        """The letters that recall is asked for: those behind the separator, else each key once."""
        if _paired(self.given):
            return self.given[::2]
        return self.given or tuple(dict.fromkeys(self.source[::2]))

    @property
    def begun(self) -> tuple[str, ...]:
        """What stands behind the separator before the network writes: of recall whole pairs."""
        if not self.task.asks:
            return self.given
        return self.given if _paired(self.given) else ()

    def line(self, behind: Sequence[str]) -> Text:
        """Return the text as the network sees it: source, separator, and what stands behind it."""
        written = self.text.text
        if self.separated is None:
            written = f"{written.rstrip()} {SEPARATOR}"
            at = len(written) - 1
        else:
            at = self.separated
            written = written[: at + 1]
        spans = [*self.spans, (at, at + 1)]
        for symbol in behind:
            spans.append((len(written) + 1, len(written) + 1 + len(symbol)))
            written += f" {symbol}"
        return self.text.cut((*self.source, SEPARATOR, *behind), spans, text=written)

    @property
    def notes(self) -> tuple[str, ...]:
        """What to tell of a source of another length than those of training."""
        n, (least, most) = len(self.source), TRAINED
        if least <= n <= most:
            return ()
        return (f"Sources of training had {least} to {most} symbols, this one has {n}.",)

    def judged(self, who: str, found: Sequence[str]) -> str:
        """Return in a sentence what a network wrote, and what is right."""
        if self.task.asks:
            known = dict(zip(self.source[::2], self.source[1::2], strict=True))
            right = [known.get(letter, "") for letter in self.asked]
        else:
            right = list(self.task.answer(self.source))
        told = f"{who} wrote {' '.join(found) or 'nothing'}"
        if list(found) == right:
            return f"{told}, which is right: {self.task.said}."
        if "" in right:
            absent = [a for a, r in zip(self.asked, right, strict=True) if not r]
            return f"{told}; {', '.join(dict.fromkeys(absent))} stands nowhere in the source."
        return f"{told}, which is not right; {self.task.said}: {' '.join(right)}."


def read_symbols(task: Task, clip: Clip) -> Symbols:
    """Return a text as symbols of a task.

    Raises:
        NlvizError: when a character is no symbol of the task's, there are several separators, the
            source is empty or too long, or recall's is not of pairs.

    >>> from nlviz.clips.text import read_text
    >>> from nlviz.networks.sequence.tasks import TASKS
    >>> found = read_symbols(TASKS["copy"], read_text("d e ab | d"))
    >>> found.source, found.given, found.line(("d", "e")).text
    (('d', 'e', 'a', 'b'), ('d',), 'd e ab | d e')
    """
    if not isinstance(clip, Text):
        raise NlvizError(
            f"a network over sequences takes a text of the symbols {' '.join(task.symbols)}; give "
            "it nlviz.read_text(...)"
        )
    places = [i for i, sign in enumerate(clip.text) if not sign.isspace()]
    signs = [clip.text[i] for i in places]
    cut = signs.index(SEPARATOR) if SEPARATOR in signs else len(signs)
    source, given = tuple(signs[:cut]), tuple(signs[cut + 1 :])
    if set(given) == {BLANK}:
        given = ()  # one for each symbol that is to be written
    task.ids((*source, *given))  # says which are none of its own
    if SEPARATOR in given:
        raise NlvizError(f"a text has one separator {SEPARATOR} at most, this one has several")
    if not 0 < len(source) <= LONGEST:
        raise NlvizError(
            f"a source has 1 to {LONGEST} symbols before the separator, this one has {len(source)}"
        )
    if task.asks:
        task.answer(source)  # says where it is not of pairs
        letters = given[::2] if _paired(given) else given
        if strange := [s for s in letters if s not in KEYS]:
            raise NlvizError(
                "behind the separator stand the letters that are asked for, or each with its "
                f"digit; got {strange[0]!r}; write a 3 b 7 | b for instance"
            )
    elif len(given) > len(source) + BEYOND:
        raise NlvizError(
            f"behind the separator stand at most {BEYOND} symbols more than before it, "
            f"{len(source) + BEYOND} here; got {len(given)}"
        )
    return Symbols(
        task,
        clip,
        source,
        given,
        tuple((i, i + 1) for i in places[:cut]),
        places[cut] if cut < len(places) else None,
    )


def _paired(given: Sequence[str]) -> bool:
    return bool(given) and len(given) % 2 == 0 and all(v in VALUES for v in given[1::2])
