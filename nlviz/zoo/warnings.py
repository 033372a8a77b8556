"""Sentences about what goes wrong with published weights although they load."""

from __future__ import annotations

import re
from collections.abc import Iterable

from nlviz.families.reading.checkpoint import Checkpoint
from nlviz.families.reading.layout import Reading

_SAYS_NON_LOCAL = re.compile(r"non[-_]?local|(?:^|[-_.])nln?\d*(?:[-_.]|$)", re.IGNORECASE)
NEVER_SAVED = (
    "The name {name} says non-local, but the file has no key of a non-local block; such a block "
    "was never saved, or this is the file of another run."
)


def says_non_local(name: str) -> bool:
    """Return whether the name of a file says that its network has non-local blocks.

    >>> says_non_local("i3d_nl5_resnet50.pth"), says_non_local("I3D_NLN_8x8_R50.pkl")
    (True, True)
    >>> says_non_local("channels_only.pth")
    False
    """
    return bool(_SAYS_NON_LOCAL.search(name))


def traps(
    checkpoint: Checkpoint, reading: Reading, missing: Iterable[str], others: Iterable[str]
) -> tuple[str, ...]:
    """Return the warnings that hold for every layout.

    Args:
        checkpoint: the file.
        reading: how it becomes a network.
        missing: keys of the network that nothing filled.
        others: families that recognise the file, too.
    """
    told: list[str] = list(reading.warnings)
    name = checkpoint.path.name
    if says_non_local(name) and not reading.blocks:
        told.append(NEVER_SAVED.format(name=name))
    statistics = [k for k in missing if k.endswith(("running_mean", "running_var"))]
    if statistics:
        told.append(
            f"The running statistics of {len(statistics) // 2 or 1} batch normalisations are "
            "missing; with any others the network's accuracy falls without an error."
        )
    f = reading.flags.get("pairwise")
    if f is not None and f.value in ("embedded_gaussian", "dot_product"):
        if f.origin in ("preset", "file name"):
            other = {"embedded_gaussian": "dot_product"}.get(str(f.value), "embedded_gaussian")
            source = "the file's name" if f.origin == "file name" else "the family's own default"
            told.append(
                f"The keys are the same for embedded_gaussian and dot_product; {f.value} is "
                f"{source}. If it was trained otherwise, say pairwise={other!r}."
            )
    several = list(others)
    if several:
        told.append(
            f"The file can also be read as {' or '.join(several)}; family={several[0]!r} does so."
        )
    return tuple(told)
