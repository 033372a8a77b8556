"""How each question of *From patches to features* is answered, wrongly and rightly."""

from __future__ import annotations

from tests.browser.lessons.driver import Answer, Learner

STRIP = ".nlesson-features-strip"


def to_the_eye(learner: Learner) -> None:
    """Go from the cat's fur, where the query begins, to its eye."""
    learner.press("ArrowRight", within=STRIP)
    learner.press("ArrowDown", within=STRIP)


def ask_thrice(learner: Learner) -> None:
    """Ask at three places of the cat, and choose."""
    learner.press("ArrowRight", times=2, within=STRIP)
    learner.press("ArrowUp", within=STRIP)
    learner.choose("more")


def at_once(learner: Learner) -> None:
    """Choose without a try."""
    learner.choose("always")


ANSWERS: dict[str, Answer] = {
    "patches": Answer(wrong=lambda _: None, wrong_says="same", right=to_the_eye),
    "light": Answer(
        wrong=lambda d: d.choose("features"),
        wrong_says="wrong",
        right=lambda d: d.choose("patches"),
    ),
    "twins": Answer(
        wrong=lambda d: d.choose("same"), wrong_says="too-little", right=lambda d: d.choose("more")
    ),
    "theta-phi": Answer(wrong=at_once, wrong_says="few", right=ask_thrice),
    "disagree": Answer(wrong=lambda _: None, wrong_says="none-low", right=to_the_eye),
    "gain": Answer(
        wrong=lambda d: d.choose("clean"), wrong_says="wrong", right=lambda d: d.choose("noisy")
    ),
}
