"""Write the data of lessons into the bundled files."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from importlib import import_module

from nlviz.files.local import write_whole
from nlviz.resources import asset
from nlviz.web.lesson_pages import NAMES


def main(arguments: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m nlviz.recipes.lessons")
    parser.add_argument("names", nargs="*", choices=[*NAMES, []], help="all by default")
    given = parser.parse_args(arguments)
    for name in given.names or NAMES:
        made: bytes = import_module(f"nlviz.recipes.lessons.{name}").make()
        path = asset("lessons") / name / "data.safetensors"
        print(f"{write_whole(path, made)}: {len(made):,} bytes")


if __name__ == "__main__":
    main()
