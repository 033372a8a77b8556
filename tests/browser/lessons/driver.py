"""A learner in a lesson's page: gives answers, moves what can be moved, hears what is said."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from playwright.sync_api import Locator, Page


@dataclass(frozen=True)
class Answer:
    """How a question is answered wrongly, then rightly.

    Attributes:
        wrong: gives a wrong answer, without Check.
        wrong_says: which text of the question is said then.
        right: gives the right answer, without Check.
    """

    wrong: Callable[[Learner], None]
    wrong_says: str
    right: Callable[[Learner], None]


class Learner:
    """One page with a lesson, as someone who learns moves it.

    Args:
        page: it shows a lesson.
    """

    def __init__(self, page: Page) -> None:
        self.page = page
        self.lesson = page.locator(".nlesson").first

    def go(self, number: int) -> None:
        """Go to a screen by its number from 0, and wait until it is drawn."""
        self.lesson.locator(".nlesson-dots button").nth(number).click()
        self.drawn()

    def drawn(self) -> None:
        """Wait until a live view of the screen, where it has one, is drawn."""
        for live in self.lesson.locator(".nlesson-of-live").all():
            live.locator(".nlv-sentence").first.wait_for(state="attached")

    def choose(self, option: str) -> None:
        """Choose an answer by its id."""
        self.lesson.locator(f'[data-option="{option}"]').check()

    def number(self, value: float) -> None:
        """Write a number as the answer."""
        self.lesson.locator('[data-answer="number"]').fill(f"{value:.10g}")

    def control(self, name: str, value: str | None = None) -> Locator:
        """Return a control of the figure by its name, and a segment of it by its value."""
        which = f'[data-control="{name}"]' + (f'[data-value="{value}"]' if value else "")
        return self.lesson.locator(f".nlesson-figure {which}")

    def set(self, name: str, value: float | str) -> None:
        """Move a slider, write into a number field, choose of a menu or press a segment."""
        first = self.control(name).first
        kind = first.evaluate(
            "node => node.type === 'button' ? 'button' : node.tagName + ' ' + node.type"
        )
        if kind == "INPUT range":
            first.evaluate(
                "(node, value) => { node.value = value; node.dispatchEvent(new Event('input', "
                "{bubbles: true})); node.dispatchEvent(new Event('change', {bubbles: true})) }",
                str(value),
            )
        elif kind.startswith("INPUT"):
            first.fill(str(value))
            first.blur()
        elif kind.startswith("SELECT"):
            first.select_option(str(value))
        else:
            self.control(name, str(value)).click()

    def press(
        self, key: str, *, times: int = 1, within: str = ".nlesson-figure .nlv-stage"
    ) -> None:
        """Press a key in the figure: in the picture of its live view, or in another part of it."""
        part = self.lesson.locator(within).first
        part.focus()
        for _ in range(times):
            part.press(key)

    def pin(self, frame: int, y: float, x: float) -> None:
        """Pin the query of the screen's live view by its fields; they need not be seen."""
        bar = self.lesson.locator(".nlesson-live .nlv-query")
        values = {"frame": frame, "y": y, "x": x}
        fields = bar.locator("input").all()
        names = ["frame", "y", "x"][-len(fields) :]
        for field, name in zip(fields, names, strict=True):
            field.evaluate(
                "(node, value) => { node.value = value; node.dispatchEvent(new Event('input', "
                "{bubbles: true})); node.dispatchEvent(new Event('change', {bubbles: true})) }",
                f"{values[name]:g}",
            )

    def check(self) -> tuple[str, str, str]:
        """Press Check; return the state (right or wrong), which text was said, and its words."""
        self.lesson.locator(".nlesson-check").click()
        result = self.lesson.locator(".nlesson-result[data-state]:not([data-state=''])")
        result.wait_for()
        state, said = result.evaluate("node => [node.dataset.state, node.dataset.said]")
        return state, said, result.inner_text()
