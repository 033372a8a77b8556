"""The table of families in the documentation.

``python -m nlviz.families.table`` prints it; with the path of a document it renews the table there.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from nlviz.families import FAMILIES
from nlviz.families.family import Family

BEGIN, END = "<!-- families: begin -->", "<!-- families: end -->"
_HEAD = (
    "family",
    "networks from files",
    "blocks in any network",
    "recognised by",
    "not in its keys",
    "parity",
    "health",
    "source",
)


def family_table(families: Iterable[Family] = FAMILIES) -> str:
    """Return the table of families in Markdown, one row each, by name.

    >>> family_table().splitlines()[0].startswith("| family | networks from files |")
    True
    """
    rows = [_HEAD, ("---",) * len(_HEAD)]
    for family in sorted(families, key=lambda f: f.name):
        row = family.row
        where = f"<{row.source}>" if row.source.startswith("http") else row.source
        cells = (row.networks, row.live, row.recognised_by, row.not_told, row.parity, row.health)
        rows.append((f"`{family.name}`", *(cell or "–" for cell in cells), where))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def renewed(document: str, table: str) -> str:
    """Return a document with another table between its markers.

    >>> document = "".join(f"{line}{chr(10)}" for line in ("# Families", BEGIN, "old", END))
    >>> renewed(document, "| new |").splitlines()[2]
    '| new |'
    """
    before, _, rest = document.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table}\n{END}{after}"


if __name__ == "__main__":
    if not sys.argv[1:]:
        print(family_table())
    for path in map(Path, sys.argv[1:]):
        path.write_text(renewed(path.read_text("utf-8"), family_table()), "utf-8")
