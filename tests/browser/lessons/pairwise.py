"""How the questions of lesson 5 are answered."""

from __future__ import annotations

from nlviz.web.lesson_pages import data
from tests.browser.lessons.driver import Answer, Learner

QUERY = ".nlesson-figure [data-control=query]"


def onto_the_grey_digit(learner: Learner) -> None:
    """Move the query from the first cell of frame 5 to the middle of its digit."""
    y, x = data("pairwise")[0]["clips"]["recall"]["grey"][0]
    learner.press("ArrowDown", times=y // 4, within=QUERY)
    learner.press("ArrowRight", times=x // 4, within=QUERY)


def one_cell_on(learner: Learner) -> None:
    """Move the second query within its digit, where nothing changes, and answer."""
    learner.press("ArrowLeft", within=QUERY)
    learner.number(10)


def onto_another_digit(learner: Learner) -> None:
    """Move the second query on to the digit of frame 2, and answer."""
    learner.press("ArrowUp", times=3, within=QUERY)
    learner.press("ArrowLeft", times=21, within=QUERY)
    learner.number(10)


def all_names(learner: Learner) -> None:
    for letter, f in zip(
        "ABCD", ("gaussian", "concatenation", "embedded_gaussian", "dot_product"), strict=True
    ):
        learner.set(f"name-{letter}", f)


def two_softmaxes_mixed(learner: Learner) -> None:
    for letter, f in zip(
        "ABCD", ("embedded_gaussian", "concatenation", "gaussian", "dot_product"), strict=True
    ):
        learner.set(f"name-{letter}", f)


ANSWERS = {
    "match": Answer(
        wrong=lambda d: d.press("ArrowDown", within=QUERY),
        wrong_says="elsewhere",
        right=lambda d: (d.press("ArrowUp", within=QUERY), onto_the_grey_digit(d))[1],
    ),
    "signs": Answer(
        wrong=lambda d: d.number(8),
        wrong_says="count",
        right=lambda d: (d.set("flip", "true"), d.number(0))[1],
    ),
    "order": Answer(
        wrong=one_cell_on,
        wrong_says="alike",
        right=onto_another_digit,
    ),
    "which": Answer(
        wrong=two_softmaxes_mixed,
        wrong_says="own",
        right=all_names,
    ),
    "rows": Answer(
        wrong=lambda d: d.set("donor", "single.dot_product"),
        wrong_says="signed",
        right=lambda d: d.set("donor", "single.embedded_gaussian"),
    ),
    "sentence": Answer(
        wrong=lambda d: d.choose("recall"),
        wrong_says="apart",
        right=lambda d: d.choose("single"),
    ),
}
