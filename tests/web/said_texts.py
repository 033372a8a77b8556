"""The texts that the browser's modules say, as they stand in their source.

``say(text, values)`` says one of the literals of its first argument, ``texts(...)`` marks those
that are said later, by a variable.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from nlviz.web.bundle import FOLDER

_CALL = re.compile(r"(?<![\w.])(say|texts)\(")
_LITERAL = re.compile(r'"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`')


def modules() -> list[Path]:
    """Return the modules whose texts stand in the shared tables.

    Of lessons these are the player's; what a lesson itself says stands in its own file.
    """
    parts = ("atlas", "gallery", "lens", "linked", "live_view", "shared", "survey")
    found = [path for part in parts for path in (FOLDER / part).rglob("*.js")]
    return sorted([*found, *(FOLDER / "lesson").glob("*.js")])


def said(source: str) -> list[str]:
    """Return the texts that a module says."""
    found = []
    for call in _CALL.finditer(source):
        whole = _argument(source, call.end(), first=call[1] == "say")
        for literal in _LITERAL.findall(_without_comparisons(whole)):
            if literal.startswith('"') and literal != '""':
                found.append(json.loads(literal))
    return found


def _argument(source: str, start: int, *, first: bool) -> str:
    """Return what stands in the brackets, or up to the first comma outside of others."""
    depth, at = 0, start
    while at < len(source):
        literal = _LITERAL.match(source, at)
        if literal:
            at = literal.end()
            continue
        sign = source[at]
        if sign in "([{":
            depth += 1
        elif sign in ")]}":
            if depth == 0:
                break
            depth -= 1
        elif sign == "," and first and depth == 0:
            break
        at += 1
    return source[start:at]


def _without_comparisons(argument: str) -> str:
    """Leave out what decides which of two texts is said: ``kind === "grid" ? ...``."""
    kept = re.sub(r'[\w.?]+ [!=]==? "[^"]*"', "", argument)
    # First entries of pairs, and names of fields, are values of controls.
    return re.sub(r'\["(\w+)", ("[^"]*"|\w+)\]', r"[\2]", kept)


def everything_said() -> dict[str, list[str]]:
    """Return the modules that say each text."""
    by_text: dict[str, list[str]] = {}
    for path in modules():
        for text in said(path.read_text("utf-8")):
            by_text.setdefault(text, []).append(path.name)
    return by_text
