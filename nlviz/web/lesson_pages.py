"""Lessons: texts, figures and questions whose answers the browser computes, one file each.

A lesson is ``assets/lessons/NAME/lesson.json`` (texts in three languages, screens, questions),
``data.safetensors`` beside it (what a recipe computed from real runs, ``nlviz.recipes.lessons``)
and the browser's module ``nlviz/web/lesson/lessons/NAME.js`` (figures, and judges that compute
whether an answer is right). Nothing of PyTorch is imported to show one.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from nlviz.errors import NlvizError
from nlviz.picture import colour_table
from nlviz.resources import asset
from nlviz.web.bundle import FOLDER, Script
from nlviz.web.payloads.container import pack, unpack

NAMES = (
    "averages",
    "equation",
    "features",
    "block",
    "pairwise",
    "paths",
    "attention",
    "honest",
)


@dataclass(frozen=True, eq=False)
class Lesson:
    """A lesson, read.

    Attributes:
        name: by which it is asked for.
        number: its place in the course, from 1.
        title: by language: en, zh, ja.
        about: what it is about, in one sentence, by language.
        minutes: that it takes a learner.
        screens: ids of its screens, in their order.
    """

    name: str
    number: int
    title: Mapping[str, str]
    about: Mapping[str, str]
    minutes: int
    screens: tuple[str, ...]

    def __repr__(self) -> str:
        return f"Lesson({self.number}. {self.title['en']})"

    @property
    def script(self) -> Script:
        """The browser's part: player, figures and judges of this lesson alone."""
        return _script(self.name)

    @property
    def channel(self) -> str:
        """Name under which the mounted lesson is told where its learner is."""
        return channel(self.name)

    def payload(self) -> bytes:
        """Return the bytes that the browser's part shows: texts and data."""
        return _payload(self.name)

    def page(self) -> str:
        """Return the lesson as one page that works from disk, offline, in all three languages.

        >>> page = lesson("equation").page()
        >>> "https://" in page, len(page) < 6_000_000
        (False, True)
        """
        return self.script.page(self.payload(), title=self.title["en"])


def lessons() -> tuple[Lesson, ...]:
    """Return all lessons, in the order of the course.

    >>> [each.name for each in lessons()][1]
    'equation'
    """
    return tuple(lesson(name) for name in NAMES)


def lesson(name: str) -> Lesson:
    """Return a lesson.

    Args:
        name: one of those that ``nlviz lesson --list`` prints.

    Raises:
        NlvizError: when there is none of this name; the closest ones are named.

    >>> lesson("equation")
    Lesson(2. Equation (1))
    """
    if name not in NAMES:
        near = difflib.get_close_matches(name, NAMES)
        meant = f"; did you mean {' or '.join(near)}?" if near else ""
        raise NlvizError(f"there is no lesson {name!r}{meant}; there are {', '.join(NAMES)}")
    told = texts(name)
    return Lesson(
        name=name,
        number=NAMES.index(name) + 1,
        title=told["title"],
        about=told["about"],
        minutes=told["minutes"],
        screens=tuple(screen["id"] for screen in told["screens"]),
    )


@cache
def texts(name: str) -> dict[str, Any]:
    """Return what ``lesson.json`` of a lesson holds."""
    read: dict[str, Any] = json.loads(asset(f"lessons/{name}/lesson.json").read_text("utf-8"))
    return read


def data(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the header and the arrays that a lesson's recipe computed.

    >>> "numbers" in data("equation")[0]
    True
    """
    return unpack(asset(f"lessons/{name}/data.safetensors").read_bytes())


def channel(name: str) -> str:
    """Return the name under which a mounted lesson is told where its learner is."""
    return f"lesson-{name}"


@cache
def _script(name: str) -> Script:
    entry = f"lesson/lessons/{name}.js"
    styles = ["live_view/live_view.css", "live_view/text.css", "lesson/lesson.css"]
    if (FOLDER / "lesson" / "lessons" / f"{name}.css").is_file():
        styles.append(f"lesson/lessons/{name}.css")
    return Script(
        entries=(("component", entry), ("standalone", entry)),
        styles=tuple(styles),
        without="This lesson computes its pictures and answers in the browser and needs "
        "JavaScript.",
    )


@cache
def _payload(name: str) -> bytes:
    header, arrays = data(name)
    tables = {
        "lut_seq": np.asarray(colour_table("sequential")),
        "lut_div": np.asarray(colour_table("diverging")),
    }
    told = {"lesson": {"name": name, **texts(name)}, "data": header, "channel": channel(name)}
    return pack(told, {**arrays, **tables})
