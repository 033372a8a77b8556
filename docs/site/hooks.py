"""What the pages take from the code itself: public names, commands and their options."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from typing import Any

import typer

NAMES = "<!-- public names of "
COMMANDS = "<!-- commands -->"


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put the public names and the commands where a page asks for them."""
    for line in markdown.splitlines():
        if line.startswith(NAMES):
            module = line.removeprefix(NAMES).removesuffix(" -->")
            markdown = markdown.replace(line, "\n\n".join(_names(module)))
    return markdown.replace(COMMANDS, "\n".join(_commands()))


def _names(name: str) -> Iterator[str]:
    module = __import__(name, fromlist=["__all__"])
    values = {n: getattr(module, n) for n in sorted(module.__all__)}
    for title, names in (
        ("Functions", [n for n, v in values.items() if inspect.isfunction(inspect.unwrap(v))]),
        ("Classes", [n for n, v in values.items() if inspect.isclass(v)]),
    ):
        if names:
            yield f"## {title}"
        for public in names:
            home = _home(module, public)
            if home:
                yield f"::: {home}\n    options:\n      heading: {name}.{public}"


def _home(module: Any, public: str) -> str:
    """Return where a name is defined, or nothing for an alias or a constant."""
    value = inspect.unwrap(getattr(module, public))
    name = getattr(value, "__name__", "")
    written = re.compile(rf"^(?:class|def) {re.escape(name)}\b", re.MULTILINE)
    for found in _modules(module.__name__.partition(".")[0]):
        if vars(found).get(name) is value and written.search(inspect.getsource(found)):
            return f"{found.__name__}.{name}"
    return ""


def _modules(package: str) -> list[Any]:
    return [m for n, m in sorted(sys.modules.items()) if n.startswith(f"{package}.") and m]


def _commands() -> Iterator[str]:
    from nlviz.cli import app

    group: Any = typer.main.get_command(app)
    for name, command in sorted(group.commands.items()):
        context = typer.Context(command, info_name=f"nlviz {name}")
        yield f"## nlviz {name}\n"
        yield f"{inspect.cleandoc(command.help or '')}\n"
        yield f"```\n{command.get_usage(context)}\n```\n"
        rows = [p.get_help_record(context) for p in command.get_params(context)]
        options = [row for row in rows if row]
        if options:
            yield "| option | meaning |\n|---|---|"
            for option, meaning in options:
                shown = option.replace("|", "\\|")
                yield f"| `{shown}` | {' '.join(meaning.split()).replace('|', chr(92) + '|')} |"
        yield ""
