"""The lessons' pure JavaScript, called from Python under node."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nlviz.resources import asset
from nlviz.web.lesson_pages import texts
from tests.web.live_view.test_rows import node

DATA = "$data"  # stands for the lesson's data among arguments


@dataclass(frozen=True)
class Pure:
    """The pure modules of one lesson.

    Attributes:
        lesson: its name.
    """

    lesson: str

    def call(self, *calls: tuple[Any, ...]) -> list[Any]:
        """Return what functions return: each call is (module, name, argument ...).

        Modules are paths below the lesson's own folder ``pure``, without ``.js``.
        """
        told = {
            "container": str(asset(f"lessons/{self.lesson}/data.safetensors")),
            "calls": [
                {
                    "module": f"lesson/lessons/{self.lesson}/pure/{module}.js",
                    "name": name,
                    "args": args,
                }
                for module, name, *args in calls
            ],
        }
        done = subprocess.run(
            [node(), str(Path(__file__).with_name("pure.mjs"))],
            input=json.dumps(told),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        found: list[Any] = json.loads(done.stdout)
        return found

    def screen(self, name: str) -> Any:
        """Return what ``lesson.json`` says of a screen."""
        return next(screen for screen in texts(self.lesson)["screens"] if screen["id"] == name)

    def judged(self, judge: str, screen: str, *answers: dict[str, Any]) -> list[Any]:
        """Return the verdicts of a judge of a screen, for several answers.

        Args:
            judge: its function in the module ``judges``.
            screen: id of the screen.
            answers: ``given`` and ``reading`` of each, as far as the judge needs them. The reading
                of a live figure is {"$live": section, "query": [frame, y, x], "view": {...}}.
        """
        spec = self.screen(screen)
        return self.call(
            *(
                (
                    "judges",
                    judge,
                    {"given": None, "reading": {}, "data": DATA, "spec": spec, **answer},
                )
                for answer in answers
            )
        )


def hold_beside(lesson: str, expected: Mapping[str, Any], folder: Path) -> None:
    """Run ``LESSON.test.mjs``, which holds the lesson's maths beside what Python expects.

    Args:
        lesson: its name.
        expected: what the script reads as JSON, at NLVIZ_EXPECTED.
        folder: where to put it.
    """
    path = folder / "expected.json"
    path.write_text(json.dumps(expected, default=float))
    data = str(asset(f"lessons/{lesson}/data.safetensors"))
    done = subprocess.run(
        [node(), "--test", str(Path(__file__).parent / f"{lesson}.test.mjs")],
        env={**os.environ, "NLVIZ_LESSON": data, "NLVIZ_EXPECTED": str(path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
