"""How each question of *Read a map honestly* is answered."""

from __future__ import annotations

from typing import Any

from nlviz.web.lesson_pages import data
from tests.browser.lessons.driver import Answer, Learner

HEAD, ARRAYS = data("honest")
EMPTY_SINK = int(ARRAYS["sink.empty.values"].argmin())  # the key that gives nothing
TRUTHS = ("content", "position", "sink", "same", "uniform")


def kind_of(case: str) -> str:
    """Return the kind of a case of the quiz by its name, as ``verdict_cases`` names them."""
    if case.startswith("recall"):
        return "content"
    return "uniform" if case == "fresh" else next(kind for kind in TRUTHS if case.startswith(kind))


def needed(each: dict[str, Any]) -> bool:
    """Return whether an answer needs its row, by the rule: far from 1, and beyond chance."""
    strong = abs(each["strong"])
    return bool(strong >= HEAD["rules"]["least"] and strong > each["chance"])


def weakest(learner: Learner) -> float:
    """Return the share of the weakest frame, as it is written below the frames."""
    learner.set("scale", "one")
    notes = learner.control("row-map").locator(".nlesson-tile-words span").all_inner_texts()
    return min(float(note.rstrip(" %")) for note in notes)


def to_the_sink(learner: Learner) -> None:
    """Open the block whose sink gives nothing, and click the sink."""
    learner.set("block", "sink.empty")
    _, rows, columns = HEAD["maps"]["sink.empty"]["shape"]
    frame, cell = divmod(EMPTY_SINK, rows * columns)
    tile = learner.control("received-map", f"map-{frame}").locator(".nlesson-picture")
    box = tile.bounding_box()
    assert box is not None
    y, x = divmod(cell, columns)
    at = {"x": box["width"] * (x + 0.5) / columns, "y": box["height"] * (y + 0.5) / rows}
    tile.click(position=at)  # type: ignore[arg-type]


def moved_and_chosen(learner: Learner) -> None:
    """Move the query four cells to the left, where another colour is, and choose map A."""
    tile = '.nlesson-figure [data-control="seen-seen"][data-value="seen-0"]'
    learner.press("ArrowLeft", times=4, within=tile)
    learner.set("map", "a")


def answered(learner: Learner) -> None:
    """Answer all ten maps by what is known of how they were built."""
    for n, each in enumerate(HEAD["quiz"]):
        learner.set("kind", kind_of(each["case"]))
        learner.set("needs", "yes" if needed(each) else "no")
        learner.set("do", "answer")
        if n + 1 < len(HEAD["quiz"]):
            learner.set("do", "next")


ANSWERS = {
    "same": Answer(wrong=lambda d: d.set("map", "a"), wrong_says="near", right=moved_and_chosen),
    "sinks": Answer(
        wrong=lambda d: d.set("block", "sink.text"),
        wrong_says="little",
        right=to_the_sink,
    ),
    "twins": Answer(wrong=lambda d: d.choose("a"), wrong_says="one", right=lambda d: d.choose("c")),
    "scaling": Answer(
        wrong=lambda d: d.number(33),
        wrong_says="scaled",
        right=lambda d: d.number(weakest(d)),
    ),
    "cut": Answer(
        wrong=lambda d: d.set("cut", "4"),
        wrong_says="kept",
        right=lambda d: d.set("cut", str(HEAD["maps"]["recall.1"]["asked"])),
    ),
    "needed": Answer(
        wrong=lambda d: d.choose("both"),
        wrong_says="left-keeps",
        right=lambda d: d.choose("right"),
    ),
    "quiz": Answer(wrong=lambda d: None, wrong_says="unfinished", right=answered),
}
