"""How each question of *The block* is answered, wrongly and rightly."""

from __future__ import annotations

from tests.browser.lessons.driver import Answer, Learner


def as_before(learner: Learner) -> None:
    """Set W_z to zero and choose that the rows stay."""
    learner.set("factor", 0)
    learner.choose("same")


ANSWERS: dict[str, Answer] = {
    "bottleneck": Answer(
        wrong=lambda d: d.set("channels", "1024"),
        wrong_says="wrong",
        right=lambda d: d.set("side", "56"),
    ),
    "identity": Answer(wrong=lambda d: d.choose("zero"), wrong_says="not-zero", right=as_before),
    "insert": Answer(
        wrong=lambda d: d.number(16), wrong_says="too-many", right=lambda d: d.number(10)
    ),
    "gradient": Answer(
        wrong=lambda d: d.choose("all"), wrong_says="dead", right=lambda d: d.choose("inside")
    ),
    "subsampling": Answer(
        wrong=lambda d: d.choose("block"), wrong_says="block", right=lambda d: d.choose("pairs")
    ),
    "convolution": Answer(
        wrong=lambda d: d.set("channels", "512"),
        wrong_says="wrong",
        right=lambda d: d.set("channels", "16"),
    ),
}
