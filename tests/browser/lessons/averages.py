"""How the questions of lesson 1 are answered."""

from __future__ import annotations

from tests.browser.lessons.driver import Answer, Learner


def two_patterns(learner: Learner) -> None:
    """Look at another pixel, then answer."""
    learner.pin(0, 44, 30)
    learner.choose("near")


def coffee(learner: Learner) -> None:
    """Paint the coffee above the pixel, by clicks and by keys."""
    learner.set("fill", "near")
    for cell in range(18, 27):
        learner.set("cell", str(cell))
    # The lower row of the nine in the middle shows the cup already.
    for cell in (48, 49, 50):
        learner.set("cell", str(cell))
    learner.press("ArrowUp", times=3, within='.nlesson-figure [data-control="cell"][tabindex="0"]')
    learner.press(" ", within='.nlesson-figure [data-control="cell"][tabindex="0"]')


ANSWERS = {
    "pattern": Answer(
        wrong=lambda d: d.choose("values"),
        wrong_says="bilateral",
        right=two_patterns,
    ),
    "noise": Answer(
        wrong=lambda d: d.number(10),
        wrong_says="linear",
        right=lambda d: d.number(100),
    ),
    "blur": Answer(
        wrong=lambda d: d.set("s", 3),
        wrong_says="blur",
        right=lambda d: d.set("s", 1.1),
    ),
    "paint": Answer(
        wrong=lambda d: d.set("fill", "all"),
        wrong_says="blur",
        right=coffee,
    ),
    "strength": Answer(
        wrong=lambda d: d.set("h", 1.5),
        wrong_says="high",
        right=lambda d: d.set("h", 0.75),
    ),
    "rare": Answer(
        wrong=lambda d: d.pin(0, 20, 20),
        wrong_says="many",
        right=lambda d: d.pin(0, 17, 33),
    ),
}
