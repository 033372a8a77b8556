"""How each question of the lesson ``paths`` is answered."""

from __future__ import annotations

from tests.browser.lessons.driver import Answer, Learner


def local_layers(learner: Learner) -> None:
    learner.set("kind", "doubling")
    learner.set("layers", 5)


def elsewhere(learner: Learner) -> None:
    learner.set("picture", "other")
    learner.press("ArrowLeft", times=2, within='.nlesson-figure [data-control="first"]')


ANSWERS = {
    "steps": Answer(
        wrong=lambda learner: learner.number(18),
        wrong_says="added",
        right=lambda learner: learner.number(13),
    ),
    "line": Answer(
        wrong=lambda learner: learner.set("kind", "holes"),
        wrong_says="short",
        right=local_layers,
    ),
    "width": Answer(
        wrong=lambda learner: learner.number(129),
        wrong_says="field",
        right=lambda learner: learner.number(30),
    ),
    "block": Answer(
        wrong=lambda learner: learner.choose("a"),
        wrong_says="inside",
        right=lambda learner: learner.choose("c"),
    ),
    "weights": Answer(
        wrong=lambda learner: learner.set("kind", "nonlocal"),
        wrong_says="brighter",
        right=elsewhere,
    ),
    "sizes": Answer(
        wrong=lambda learner: learner.number(4),
        wrong_says="cells",
        right=lambda learner: learner.number(16),
    ),
}
