"""Where a learner is in the course, as an address keeps it. Nothing here knows Streamlit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import nlviz

LESSON, PROGRESS = "lesson", "progress"
OF_LESSON = ("screen", "solved", "at", "teacher")  # fields of the lesson that is open
Screens = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Course:
    """What a learner did in the course.

    Attributes:
        lesson: name of the lesson that is open, or None for the list.
        fields: of the open lesson: which screen, what is solved, the figure's state.
        solved: ids of the screens whose question was answered, by lesson.
        seen: number of the latest act that a lesson said.
    """

    lesson: str | None = None
    fields: Mapping[str, str] = field(default_factory=dict)
    solved: Mapping[str, frozenset[str]] = field(default_factory=dict)
    seen: float = 0

    def opened(self, lesson: str | None) -> Course:
        """Return the course with a lesson open, or with the list."""
        kept = {"teacher": "1"} if self.fields.get("teacher") == "1" else {}
        done = self.solved.get(lesson or "", frozenset())
        solved = {"solved": ",".join(sorted(done))} if done else {}
        return replace(self, lesson=lesson, fields={**kept, **solved} if lesson else kept)

    def said(self, act: float, fields: Mapping[str, str]) -> Course:
        """Return the course after a learner's act in the open lesson."""
        if act <= self.seen or self.lesson is None:
            return self
        kept = {name: str(fields[name]) for name in OF_LESSON if fields.get(name)}
        done = frozenset(filter(None, kept.get("solved", "").split(",")))
        return replace(
            self,
            fields=kept,
            solved={**self.solved, self.lesson: done},
            seen=act,
        )


def read(address: Mapping[str, str], screens: Screens) -> tuple[Course, str]:
    """Return what an address describes, and a sentence on what of it could not be followed.

    Args:
        address: parameters of the page's address.
        screens: ids of the screens of every lesson, by its name.
    """
    solved = {}
    for part in address.get(PROGRESS, "").split(","):
        name, _, marks = part.partition(":")
        ids = screens.get(name, ())
        found = frozenset(i for i, mark in zip(ids, marks, strict=False) if mark == "1")
        if found:
            solved[name] = found
    course = Course(solved=solved)
    asked = address.get(LESSON)
    if not asked:
        return course, ""
    if asked not in screens:
        try:
            nlviz.web.lesson(asked)
        except nlviz.NlvizError as error:
            return course, str(error)
    fields = {each: address[each] for each in OF_LESSON if address.get(each)}
    known = screens[asked]
    right = frozenset(i for i in fields.get("solved", "").split(",") if i in known)
    done = {**solved, asked: solved.get(asked, frozenset()) | right}
    return replace(course, lesson=asked, fields=fields, solved=done), ""


def write(course: Course, screens: Screens) -> dict[str, str]:
    """Return the parameters of an address that describes the course."""
    address = {}
    if course.lesson:
        address = {LESSON: course.lesson, **course.fields}
    marks = {
        name: "".join("1" if i in done else "0" for i in screens[name])
        for name, done in course.solved.items()
        if done and name in screens
    }
    if marks:
        address[PROGRESS] = ",".join(f"{name}:{mark}" for name, mark in marks.items())
    return address
