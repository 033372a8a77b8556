"""What else stands in a file of weights, in words."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from nlviz.families.reading.checkpoint import Checkpoint
from nlviz.families.reading.report import LoadReport
from nlviz.zoo.wrappings import Unwrapped, copies

_OF_TRAINING = re.compile(
    r"(?:.*[._])?(?:loss\w*|criteri\w+|acc|accuracy|\w*metrics?|auroc|confmat|f1|precision|recall"
    r"|map|lpips|perceptual|n_averaged|num_updates|ema_decay|global_step|step|epoch|queue\w*)"
    r"(?:[._\d].*)?",
    re.IGNORECASE,
)
_TRAINING = "of the loss or of a metric, by its name"


def of_training(key: str) -> bool:
    """Return whether a key's first part is that of a loss, a metric or a counter of training.

    >>> of_training("criterion.weight"), of_training("val_acc.total"), of_training("neck.weight")
    (True, True, False)
    """
    return bool(_OF_TRAINING.fullmatch(key.partition(".")[0]))


def without_training(report: LoadReport) -> LoadReport:
    """Return the report with tensors of losses and metrics dropped, where all else fits."""
    left = {key: _TRAINING for key in report.unexpected if of_training(key)}
    if report.missing or report.misshapen or len(left) < len(report.unexpected):
        return report
    return replace(report, unexpected=(), dropped={**report.dropped, **left})


def accounted(report: LoadReport, checkpoint: Checkpoint, way: Unwrapped) -> LoadReport:
    """Return the report of a network with what else its file holds.

    Args:
        report: of the network.
        checkpoint: the whole file.
        way: how it was read.
    """
    alike = copies(checkpoint, way)
    beside = {name: f"a copy of the same network; part={name} takes it" for name in alike} | {
        name: f"{len(other.keys)} tensors, another network or a part of one"
        for name, other in checkpoint.others.items()
        if name != way.checkpoint.wrapper and not any(_within(copy, name) for copy in alike)
    }
    if way.checkpoint.wrapper != checkpoint.wrapper and checkpoint.wrapper not in alike:
        beside[checkpoint.wrapper or "top level"] = f"{len(checkpoint.tensors)} other tensors"
    for name in checkpoint.left:
        what, _, kind = name.partition(" (")
        if not any(_within(known, what) for known in beside):
            beside[what] = f"an object of {kind.rstrip(')')}, not read" if kind else "not read"
    outside = [
        key for key in way.outside if not any(_within(_full(way, key), copy) for copy in alike)
    ]
    prefix = way.part.removeprefix(way.checkpoint.wrapper).lstrip(".")
    dropped = {
        key: _TRAINING if of_training(key) else f"stands outside {prefix}" for key in outside
    }
    strange = [key for key in outside if not of_training(key)]
    told = [_outside_in_words(strange, prefix)] if strange else []
    return replace(
        report,
        beside=beside,
        dropped={**report.dropped, **dropped},
        warnings=(*report.warnings, *told),
    )


def _within(name: str, whole: str) -> bool:
    return name == whole or name.startswith(f"{whole}.")


def _full(way: Unwrapped, key: str) -> str:
    return f"{way.checkpoint.wrapper}.{key}" if way.checkpoint.wrapper else key


def _outside_in_words(keys: Iterable[str], prefix: str) -> str:
    tops = list(dict.fromkeys(key.partition(".")[0] for key in keys))
    count = len(list(keys))
    shown = ", ".join(tops[:5]) + (", ..." if len(tops) > 5 else "")
    return (
        f"{count} tensor{'' if count == 1 else 's'} of the file stand{'s' if count == 1 else ''} "
        f"outside {prefix} and {'is' if count == 1 else 'are'} no part of this network ({shown}); "
        "if one of them changes what the network sees, its maps are others."
    )
