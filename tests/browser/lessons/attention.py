"""How the questions of the lesson on self-attention are answered, wrongly and rightly."""

from tests.browser.lessons.driver import Answer, Learner


def _connect(learner: Learner) -> None:
    learner.set("shifted", "on")
    learner.set("side", 7)


def _leave_one_off(learner: Learner) -> None:
    learner.set("off", "encoder.0.global:1")  # on again
    learner.set("off", "encoder.1.global:0")


def _reach_all(learner: Learner) -> None:
    learner.set("ring", 3)
    learner.set("pooled", 9)


ANSWERS = {
    "same-rows": Answer(
        wrong=lambda d: d.set("scale", 0.6),
        wrong_says="too-sharp",
        right=lambda d: d.set("scale", 0.25),
    ),
    "heads": Answer(
        wrong=lambda d: d.set("head", "encoder.1.global:1"),
        wrong_says="elsewhere",
        right=lambda d: d.set("head", "decoder.0.cross:0"),
    ),
    "cut": Answer(
        wrong=lambda d: d.set("off", "encoder.0.global:1"),
        wrong_says="another",
        right=_leave_one_off,
    ),
    "reach": Answer(
        wrong=lambda d: d.set("frames", 16),
        wrong_says="too-many",
        right=lambda d: d.set("frames", 11),
    ),
    "steps": Answer(wrong=lambda d: d.set("side", 8), wrong_says="never", right=_connect),
    "position": Answer(
        wrong=lambda d: d.choose("recall"),
        wrong_says="content",
        right=lambda d: d.choose("reverse"),
    ),
    "branches": Answer(
        wrong=lambda d: d.choose("shift"),
        wrong_says="keeps",
        right=lambda d: d.choose("sort"),
    ),
    "length": Answer(
        wrong=lambda d: d.choose("concentrates"),
        wrong_says="not-moved",
        right=lambda d: d.choose("spreads"),
    ),
    "layouts": Answer(
        wrong=lambda d: d.choose("c-c-c-t"),
        wrong_says="never",
        right=lambda d: d.choose("c-c-c-c"),
    ),
    "outlook-focal": Answer(
        wrong=lambda d: d.set("ring", 8),
        wrong_says="not-whole",
        right=_reach_all,
    ),
}
