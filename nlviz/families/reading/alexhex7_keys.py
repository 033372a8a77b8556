"""How AlexHex7's block, and the copies of it, name their weights.

https://github.com/AlexHex7/Non-local_pytorch (Apache-2.0).
"""

from __future__ import annotations

import re

_PARTS = (
    (re.compile(r"(theta|phi|g)(?:\.0)?\.(weight|bias)"), r"\1.\2"),
    (re.compile(r"W(?:\.0)?\.(weight|bias)"), r"out.\1"),
    (re.compile(r"W\.1\.(\w+)"), r"bn.\1"),
    (re.compile(r"concat_project\.0\.weight"), "w_f"),
)


def block_part(part: str) -> str | None:
    """Return this project's name of a part of a block, or None.

    >>> block_part("phi.0.weight"), block_part("W.1.running_var"), block_part("W.bias")
    ('phi.weight', 'bn.running_var', 'out.bias')
    """
    for pattern, ours in _PARTS:
        if pattern.fullmatch(part):
            return pattern.sub(ours, part)
    return None
