"""Walks at random through both pages, as a visitor who is patient or in a hurry would.

After every few steps all that a page says of itself must agree: the picture, the panels, the lens,
the address, the saved file.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlparse

from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import Locator, Page, expect

LONG = 120_000  # milliseconds
IDLE = '[data-test-script-state="notRunning"]'
CLIPS = ("cat.jpg", "coffee.jpg", "rocket.jpg", "composed-twins.mp4")


class Walk:
    """One walk.

    Args:
        page: of a browser, opened at the app.
        seed: of what is done.
        pause: milliseconds between two steps; 0 waits until the page is at rest.
    """

    home = "Denoise"  # the page that it goes through

    def __init__(self, page: Page, seed: int, pause: int) -> None:
        self.page = page
        self.draw = random.Random(seed)
        self.pause = pause
        page.set_default_timeout(30_000)
        self.done: list[str] = []

    def go(self, steps: int, check_every: int) -> None:
        """Take so many steps; check every few of them."""
        for n in range(1, steps + 1):
            step: Callable[[], str] = self.draw.choice(self.steps)
            try:
                self.done.append(step())
            except PlaywrightError as error:  # a menu that closed, a field that was replaced
                self.done.append(f"gave up: {str(error).splitlines()[0]}")
            if self.pause:
                self.page.wait_for_timeout(self.pause)
            else:
                self.rest()
            if n % check_every == 0:
                self.rest()
                try:
                    self.check()
                except AssertionError as error:
                    raise AssertionError(f"after {' | '.join(self.done)}: {error}") from None

    def rest(self) -> None:
        """Wait until nothing is under way, in the browser or on the server."""
        page = self.page
        quiet = 0
        for _ in range(600):
            idle = page.locator(IDLE).count() == 1
            busy = page.locator('.nlv[aria-busy="true"], .nlv[data-known="false"]').count()
            quiet = quiet + 1 if idle and not busy else 0
            page.wait_for_timeout(60)
            if quiet > 8:  # longer than what a view holds back
                return
        raise AssertionError("the page does not come to rest")

    @property
    def steps(self) -> list[Callable[[], str]]:
        """What can be done."""
        raise NotImplementedError

    def check(self) -> None:
        """See that all that the page says of itself agrees."""
        raise NotImplementedError

    @property
    def address(self) -> dict[str, str]:
        return dict(parse_qsl(urlparse(self.page.url).query))

    @property
    def view(self) -> dict[str, str]:
        """What the live view says of itself."""
        data: dict[str, str] = self.page.locator(".nlv:not(.nlens)").first.evaluate(
            "e => ({...e.dataset})"
        )
        return data

    def choose(self, label: str, option: str) -> str:
        box = self.page.get_by_role("combobox", name=re.compile(f"{label}$")).first
        if not box.is_visible():
            return f"no {label}"
        box.click()
        listed = self.page.get_by_role("option", name=option, exact=True)
        if not listed.count():
            listed.first.wait_for(timeout=5000)
        listed.first.click()
        return f"{label} {option}"

    def large(self) -> Locator:
        return self.page.locator(".nlv-large .nlv-picture, .nlv-large canvas").first

    def pin(self) -> str:
        box = self.large().bounding_box()
        if box is None:
            return "no picture"
        u, v = self.draw.uniform(0.05, 0.95), self.draw.uniform(0.05, 0.9)
        self.page.mouse.click(box["x"] + u * box["width"], box["y"] + v * box["height"])
        return f"pin {u:.2f} {v:.2f}"

    def keys(self) -> str:
        key = self.draw.choice(("ArrowRight", "ArrowLeft", "ArrowDown", "ArrowUp"))
        times, gap = self.draw.randint(1, 9), self.draw.choice((30, 120, 250))
        stage = self.page.locator(".nlv-stage").first
        if not stage.count():
            return "no stage"
        stage.focus()
        for _ in range(times):
            self.page.keyboard.press(key)
            self.page.wait_for_timeout(min(gap, self.pause or gap))
        return f"{times} x {key}"

    def unpin(self) -> str:
        self.page.locator(".nlv-stage").first.focus()
        self.page.keyboard.press("Escape")
        return "unpin"

    def other_page(self) -> str:
        """Look at the other page, and come back."""
        for name in ("Denoise", "Explore")[:: -1 if self.home == "Denoise" else 1]:
            self.page.get_by_test_id("stTopNavLink").filter(has_text=name).click()
            if not self.pause:
                self.rest()
            else:
                self.page.wait_for_timeout(self.pause)
        return "look at the other page"

    def reload(self) -> str:
        self.rest()
        self.page.reload()
        self.page.locator(".nlv-sentence").first.wait_for(timeout=LONG)
        return "reload"

    def saved(self, name: str = "JSON") -> dict[str, Any]:
        with self.page.expect_download(timeout=LONG) as waiting:
            self.page.get_by_role("button", name=name, exact=True).click()
        found: dict[str, Any] = json.loads(Path(waiting.value.path()).read_text("utf-8"))
        self.rest()
        return found

    def no_alerts(self) -> None:
        alerts = self.page.get_by_test_id("stAlert").all_inner_texts()
        assert not [a for a in alerts if "frame must" not in a.lower()], alerts


class ExploreWalk(Walk):
    """A walk through Explore."""

    home = "Explore"

    @property
    def steps(self) -> list[Callable[[], str]]:
        pick = self.draw.choice
        return [
            lambda: self.choose("Clip or photo", pick(CLIPS)),
            lambda: self.choose("Block", pick(("stage3", "stage4"))),
            lambda: self.choose("Block", pick(("stage3", "stage4"))),
            self.pin,
            self.pin,
            self.keys,
            self.unpin,
            self.source,
            self.frames,
            self.other_page,
            self.reload,
        ]

    def source(self) -> str:
        key = self.draw.choice("123458")
        self.page.locator(".nlv-stage").first.focus()
        self.page.keyboard.press(key)
        return f"source {key}"

    def frames(self) -> str:
        field = self.page.get_by_label("Number of frames")
        if not field.is_visible():
            self.page.get_by_text("Frames and size").click()
            field.wait_for(timeout=10_000)
        count = str(self.draw.choice((1, 2, 3, 5)))
        field.fill(count)
        field.press("Enter")
        return f"{count} frames"

    def check(self) -> None:
        page = self.page
        page.get_by_role("button", name="JSON", exact=True).wait_for(timeout=LONG)
        self.no_alerts()
        view, address = self.view, self.address
        frame, y, x = (float(v) for v in address["at"].split(","))
        there = [float(v) for v in view["query"].split(",")]
        assert abs(there[1] - y) <= 1 and abs(there[2] - x) <= 1, (view, address)
        assert there[0] == frame, (view, address)
        block = page.get_by_role("combobox", name=re.compile("Block$")).first
        shown = (
            block.input_value()
            or block.locator("xpath=ancestor::*[@data-testid='stSelectbox']").inner_text()
        )
        assert address["block"] in shown, (address, shown)
        title = page.locator(".nlv-title").inner_text()
        assert address["clip"] in title and address["block"] in title, (address, title)
        assert address.get("source", "learned") == view["source"], (address, view)
        saved = self.saved()
        at = saved["query"]
        assert abs(at["y"] - y) < 0.01 and abs(at["x"] - x) < 0.01 and at["frame"] == frame
        assert (saved["clip"]["name"], saved["block"]) == (address["clip"], address["block"])
        assert saved["display"]["source"] == view["source"]
        assert str(saved["clip"]["frames"]) == address.get("frames", "8")


class DenoiseWalk(Walk):
    """A walk through Denoise."""

    @property
    def steps(self) -> list[Callable[[], str]]:
        pick = self.draw.choice
        return [
            lambda: self.choose("Photo or clip", pick(CLIPS[:3])),
            lambda: self.choose("Largest shorter side", pick(("128 px", "192 px"))),
            self.grey,
            self.pin,
            self.pin,
            self.keys,
            self.unpin,
            self.sigma,
            self.sigma,
            self.lens,
            self.other_page,
            self.reload,
        ]

    def grey(self) -> str:
        self.page.get_by_test_id("stSidebar").get_by_text("In grey").click()
        return "grey"

    def sigma(self) -> str:
        slider = self.page.get_by_role("slider", name=re.compile("Sigma")).first
        if not slider.count():
            return "no sigma"
        slider.focus()
        key, times = self.draw.choice(("ArrowRight", "ArrowLeft")), self.draw.randint(1, 8)
        for _ in range(times):
            self.page.keyboard.press(key)
            self.page.wait_for_timeout(self.draw.choice((60, 200, 500)))
        return f"sigma {times} x {key}"

    def lens(self) -> str:
        tiles = self.page.locator(".nlens-picture")
        if not tiles.count():
            return "no lens"
        box = tiles.first.bounding_box()
        if box is None:
            return "no lens"
        at = {"x": box["width"] * self.draw.uniform(0.1, 0.9), "y": box["height"] * 0.4}
        tiles.first.click(position=at, force=True)
        return "lens"

    def check(self) -> None:
        page = self.page
        page.get_by_role("button", name="CSV", exact=True).wait_for(timeout=LONG)
        self.no_alerts()
        view, address = self.view, self.address
        assert "set" not in address, address
        there = [float(v) for v in view["query"].split(",")]
        told = page.get_by_text(re.compile(r"pixel y \d+, x \d+")).first.inner_text()
        y, x = (int(v) for v in re.search(r"pixel y (\d+), x (\d+)", told).groups())  # type: ignore[union-attr]
        assert abs(there[1] - y) <= 1 and abs(there[2] - x) <= 1, (view, told)
        if view["pinned"] == "true":
            assert "at" in address, (view, address)
        if "at" in address:
            _, ay, ax = (float(v) for v in address["at"].split(","))
            assert abs(ay - y) <= 1 and abs(ax - x) <= 1, (address, told)
        lens = page.locator(".nlens").evaluate("e => ({...e.dataset})")
        assert lens["pinned"] == view["pinned"], (lens, view)
        if lens["pinned"] == "true":
            ly, lx = (float(v) for v in lens["point"].split(","))
            assert abs(ly - y) <= 1 and abs(lx - x) <= 1, (lens, told)
        sigma = address.get("sigma", "25")
        expect(page.get_by_text(re.compile(rf"sigma {sigma}, seed 0")).first).to_be_visible()
        slider = page.get_by_role("slider", name=re.compile("Sigma")).first
        value = slider.evaluate("e => e.getAttribute('aria-valuenow') ?? e.value")
        assert float(value) == float(sigma), (value, address)
        picture = address.get("picture", "cat.jpg")
        expect(page.get_by_text(re.compile(rf"^{picture}, .* px")).first).to_be_visible()
        saved = self.saved()
        assert saved["setup"]["noise"]["sigma"] == float(sigma) if "setup" in saved else True
