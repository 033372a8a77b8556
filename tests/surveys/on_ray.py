"""A survey on a cluster: ``python -m tests.surveys.on_ray ADDRESS CLIPS OUT WORKERS``.

In a process of its own, as warnings of Ray would be errors in that of the tests.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from nlviz.surveys.survey import survey

SMALL: dict[str, Any] = {"queries": 3, "size": 64, "frames": 3, "pictures": "each"}


def main(address: str, clips: Path, out: Path, workers: int) -> None:
    survey(
        clips,
        out=out,
        model="tests.surveys.deadly:build",
        engine="ray",
        address=address,
        workers=workers,
        **SMALL,
    )


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]))
