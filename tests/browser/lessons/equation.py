"""How the questions of lesson 2 are answered."""

from __future__ import annotations

from tests.browser.lessons.driver import Answer, Learner


def heavy_value(learner: Learner) -> None:
    """Take the pixel that weighs most, in the square of its values, and lower its value."""
    learner.lesson.locator(".nlesson-equation-g [data-pixel='15']").click()
    learner.set("g", 4.8)


def weight_in_the_table(learner: Learner) -> None:
    """Choose a key in the table of all rows, see that the lines follow, and answer."""
    table = learner.lesson.locator(".nlesson-equation-table")
    size = table.bounding_box()
    assert size is not None
    table.click(position={"x": size["width"] * 1.5 / 16, "y": size["height"] / 2})
    learner.control("key", "1").and_(learner.lesson.locator("[aria-pressed=true]")).wait_for()
    learner.number(41)


def all_weights(learner: Learner) -> None:
    """Try it, then answer."""
    learner.set("x", 3)
    learner.choose("all")


def constant_theta(learner: Learner) -> None:
    """Let theta forget the query."""
    learner.set("a", 0)
    learner.set("b", 0.5)


ANSWERS = {
    "pairs": Answer(
        wrong=lambda d: d.press("ArrowRight", within=".nlesson-figure [data-control=query]"),
        wrong_says="differ",
        # The grey pixel of the second row.
        right=lambda d: d.set("query", "7"),
    ),
    "weights": Answer(
        wrong=lambda d: d.number(20.1),
        wrong_says="not-divided",
        right=weight_in_the_table,
    ),
    "sum": Answer(
        wrong=lambda d: d.set("g", 0),
        wrong_says="light",
        right=heavy_value,
    ),
    "pixel": Answer(
        wrong=lambda d: d.choose("one"),
        wrong_says="few",
        right=all_weights,
    ),
    "temperature": Answer(
        wrong=lambda d: d.set("temperature", 6),
        wrong_says="uniform",
        right=lambda d: d.set("temperature", -1.5),
    ),
    "dot": Answer(
        wrong=lambda d: d.number(-4),
        wrong_says="not-divided",
        right=lambda d: d.number(-0.25),
    ),
    "theta": Answer(
        wrong=lambda d: d.set("a", 0.5),
        wrong_says="differ",
        right=constant_theta,
    ),
    "sentence": Answer(
        wrong=lambda d: d.choose("winner"),
        wrong_says="other",
        right=lambda d: d.choose("shares"),
    ),
}
