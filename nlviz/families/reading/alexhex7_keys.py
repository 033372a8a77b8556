"""How AlexHex7's block, and the copies of it, name their weights.

https://github.com/AlexHex7/Non-local_pytorch (Apache-2.0).
"""

from __future__ import annotations

# Key behind the block's name -> this project's.
ALEXHEX7_BLOCK = (
    (r"(?P<part>theta|phi|g)(?:\.0)?\.(?P<kind>weight|bias)", "{part}.{kind}"),
    (r"W(?:\.0)?\.(?P<kind>weight|bias)", "out.{kind}"),
    (r"W\.1\.(?P<kind>\w+)", "bn.{kind}"),
    (r"concat_project\.0\.weight", "w_f"),
)
