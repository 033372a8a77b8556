"""Checkpoints become networks: recognised, matched key by key, and assigned without copies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from nlviz.errors import NlvizError, WeightsMismatch, did_you_mean
from nlviz.families import FAMILIES, family_named, layout_for, recognised
from nlviz.families.family import Family
from nlviz.families.reading.checkpoint import Checkpoint
from nlviz.families.reading.layout import Flag, Reading
from nlviz.families.reading.report import UNKNOWN, LoadReport
from nlviz.progress import Listener
from nlviz.zoo.beside import accounted, without_training
from nlviz.zoo.files import read_checkpoint
from nlviz.zoo.transformers import why_no_transformers
from nlviz.zoo.unknown_keys import find_blocks
from nlviz.zoo.warnings import NEVER_SAVED, says_non_local, traps
from nlviz.zoo.wrappings import Unwrapped, ways_to_read

_COUNTER = "num_batches_tracked"
_CURE = (
    "build the network in Python and take nlviz.capture(net, clip), or `nlviz app --model "
    "my_module:build`"
)


def load_checkpoint(
    source: Path | str | Checkpoint,
    *,
    family: str | None = None,
    part: str | None = None,
    progress: Listener | None = None,
    **overrides: object,
) -> tuple[nn.Module, LoadReport]:
    """Return the network that a file of weights makes, in eval mode, and what was found.

    Nothing is initialised that the file overwrites, and tensors of the network's own type are not
    copied.

    Args:
        source: a file, or what was read from it.
        family: take this layout, rather than the first that recognises the file.
        part: take the weights of this name, where a file holds several networks or copies of one:
            entries of the file and a beginning of its keys, ``state_dict_ema`` or ``teacher`` for
            instance. By default the first that a layout explains.
        progress: called with a sentence and a share in [0, 1].
        **overrides: flags of the family, ``pairwise="dot_product"`` for instance.

    Raises:
        UnreadableCheckpoint: when the file holds no weights that can be read.
        UnsafeCheckpoint: when it would run code.
        WeightsMismatch: when no layout knows its keys, or any key stays unexplained.
        NlvizError: when there is no family or flag of that name.

    >>> from nlviz.resources import asset
    >>> net, report = load_checkpoint(asset("weights/lite-nl.safetensors"))
    >>> report.family, report.complete, type(net).__name__
    ('lite-nl', True, 'LiteNL')
    """
    checkpoint = _read(source, progress)
    found = _found(checkpoint, family, part, overrides)
    if found is None:
        report = _unknown(checkpoint, part)
        raise WeightsMismatch(_unknown_sentence(checkpoint.path, report))
    if isinstance(found, NlvizError):
        raise found
    report, net = found.report, found.net
    if not report.complete:
        raise WeightsMismatch(
            f"{report.file} does not fit {report.architecture}, which its keys say in the layout "
            f"of {report.family}: {report.faults}; `nlviz inspect` lists them all"
        )
    net.load_state_dict(found.state, strict=True, assign=True)
    left = [n for n, b in net.named_buffers() if b.is_meta]
    if left:
        raise WeightsMismatch(f"{report.file} says nothing of {', '.join(left[:5])}; {_CURE}")
    return net.eval(), report


def inspect_checkpoint(
    source: Path | str | Checkpoint,
    *,
    family: str | None = None,
    part: str | None = None,
    progress: Listener | None = None,
    **overrides: object,
) -> LoadReport:
    """Return what is in a file of weights, also where it makes no network.

    Args:
        source: a file, or what was read from it.
        family: as in ``load_checkpoint``.
        part: as in ``load_checkpoint``.
        progress: called with a sentence and a share in [0, 1].
        **overrides: flags of the family.

    Raises:
        UnreadableCheckpoint: when the file holds no weights that can be read.
        UnsafeCheckpoint: when it would run code.
        NlvizError: when there is no family or flag of that name.

    >>> from nlviz.resources import asset
    >>> report = inspect_checkpoint(asset("weights/lite-nl.safetensors"))
    >>> [block.name for block in report.blocks], report.faults
    (['stage3', 'stage4'], '')
    """
    checkpoint = _read(source, progress)
    found = _found(checkpoint, family, part, overrides)
    if found is None:
        return _unknown(checkpoint, part)
    if not isinstance(found, NlvizError):
        return found.report
    if not isinstance(found, _NoNetwork):
        raise found
    told, name = str(found), checkpoint.path.name
    told = told if told.startswith(name) else told[:1].upper() + told[1:]
    return LoadReport(
        file=name,
        container=checkpoint.container,
        size=checkpoint.size,
        digest="",
        family=found.family.name,
        recognised_by=found.by,
        architecture="no whole network",
        unexpected=tuple(checkpoint.tensors),
        warnings=(f"{told}.",),
    )


class _NoNetwork(WeightsMismatch):
    """Keys of a layout that make no network."""

    def __init__(self, told: str, family: Family, by: str) -> None:
        super().__init__(told)
        self.family, self.by = family, by


@dataclass(frozen=True, eq=False)
class _Found:
    """A network that the file makes, wholly or in part."""

    report: LoadReport
    net: nn.Module
    state: Mapping[str, Tensor]


def _found(
    checkpoint: Checkpoint, family: str | None, part: str | None, overrides: Mapping[str, object]
) -> _Found | NlvizError | None:
    """Return the first way of reading a file that explains it all, or else the best one.

    Returns:
        What fits; the first error where each way ends in one; None where no layout knows the keys.
    """
    best: _Found | None = None
    error: NlvizError | None = None
    for way in ways_to_read(checkpoint, part):
        taken, by, others = _recognised(way.checkpoint, family)
        if taken is None:
            continue
        try:
            found = _fitted(way, taken, by, others, overrides)
        except WeightsMismatch as fault:
            error = error or _NoNetwork(str(fault), taken, by)
            continue
        except NlvizError as fault:
            error = error or fault
            continue
        if best is None or found.report.complete or found.report.matched > best.report.matched:
            best = found
        if best.report.complete:
            return replace(best, report=accounted(best.report, checkpoint, way))
    return best or error


def _fitted(
    way: Unwrapped,
    taken: Family,
    by: str,
    others: tuple[str, ...],
    overrides: Mapping[str, object],
) -> _Found:
    reading = _reading(taken, way.checkpoint, overrides)
    net = _built(reading)
    report, state = _account(way.checkpoint, taken, by, others, reading, net)
    report = without_training(report)
    return _Found(replace(report, part=way.part, taken_off=way.taken_off), net, state)


def _read(source: Path | str | Checkpoint, progress: Listener | None) -> Checkpoint:
    if isinstance(source, Checkpoint):
        return source
    return read_checkpoint(Path(source), progress=progress)


def _recognised(
    checkpoint: Checkpoint, family: str | None
) -> tuple[Family | None, str, tuple[str, ...]]:
    """Return the family to take, by what it was recognised, and the others that could be."""
    if family is not None:
        found = layout_for(family).recognise(checkpoint)
        return family_named(family), found or "your word", ()
    known = recognised(checkpoint)
    if not known:
        return None, "", ()
    first, by = known[0]
    return first, by, tuple(other.name for other, _ in known[1:])


def _reading(family: Family, checkpoint: Checkpoint, overrides: Mapping[str, object]) -> Reading:
    layout = layout_for(family.name)
    overrides = {k: v for k, v in overrides.items() if v is not None}
    for name in overrides:
        if name not in layout.flags:
            raise NlvizError(
                f"files of {family.name} have no flag {name!r}{did_you_mean(name, layout.flags)}"
            )
    reading = layout.read(checkpoint, overrides)
    for name in overrides:
        if name not in reading.flags:
            raise NlvizError(
                f"the flag {name} changes nothing in {reading.architecture}; leave it out, or take "
                f"one of {', '.join(reading.flags) or 'none'}"
            )
    return reading


def _built(reading: Reading) -> nn.Module:
    try:
        with torch.device("meta"):
            return reading.build()
    except WeightsMismatch:
        raise
    except NlvizError as error:  # a block behind a residual block that is not there, for instance
        raise WeightsMismatch(str(error)) from error


def _account(
    checkpoint: Checkpoint,
    family: Family,
    by: str,
    others: tuple[str, ...],
    reading: Reading,
    net: nn.Module,
) -> tuple[LoadReport, dict[str, Tensor]]:
    """Return what becomes of each key, and the network's tensors."""
    own = net.state_dict()
    state: dict[str, Tensor] = {}
    dropped: dict[str, str] = {}
    unexpected: list[str] = []
    misshapen: list[str] = []
    wrong: set[str] = set()
    matched = 0
    parts = {part for others in reading.joined.values() for part in others}
    for key, tensor in checkpoint.tensors.items():
        target = reading.names.get(key)
        if key in parts:
            matched += 1
        elif key in reading.dropped:
            dropped[key] = reading.dropped[key]
        elif target is None or target not in own or target in state or target in wrong:
            unexpected.append(key)
        else:
            if key in reading.joined:
                tensor = torch.cat([tensor, *(checkpoint.tensors[k] for k in reading.joined[key])])
            change = reading.change.get(key)
            changed = tensor if change is None else change(tensor)
            fault = _fault(key, changed, own[target])
            if fault:
                misshapen.append(fault)
                wrong.add(target)
            else:
                state[target] = changed.to(own[target].dtype).contiguous()
                matched += 1
    filled: dict[str, str] = {}
    for target, (tensor, why) in reading.filled.items():
        if target in own and target not in state and target not in wrong:
            state[target], filled[target] = tensor.to(own[target].dtype), why
    for target, tensor in own.items():
        if target.endswith(_COUNTER) and target not in state and target not in wrong:
            state[target] = torch.zeros(tensor.shape, dtype=tensor.dtype)
            filled[target] = "a counter of training steps, taken as 0"
    missing = tuple(k for k in own if k not in state and k not in wrong)
    report = LoadReport(
        file=checkpoint.path.name,
        container=checkpoint.container,
        size=checkpoint.size,
        digest="",
        family=family.name,
        recognised_by=by,
        architecture=reading.architecture,
        blocks=reading.blocks,
        flags=reading.flags,
        input_spec=reading.input_spec,
        input_note=reading.input_note,
        labels=reading.labels,
        trained_for=reading.trained_for,
        matched=matched,
        missing=missing,
        unexpected=tuple(unexpected),
        misshapen=tuple(misshapen),
        dropped=dropped,
        filled=filled,
        warnings=traps(checkpoint, reading, missing, others),
    )
    return report, state


def _fault(key: str, tensor: Tensor, own: Tensor) -> str:
    if tensor.shape != own.shape:
        return f"{key} is {tuple(tensor.shape)}, needs {tuple(own.shape)}"
    if own.is_floating_point() and not tensor.is_floating_point():
        return f"{key} holds {str(tensor.dtype).removeprefix('torch.')}, needs fractions"
    return ""


def _unknown(checkpoint: Checkpoint, part: str | None) -> LoadReport:
    if part is not None:
        ways = [way for way in ways_to_read(checkpoint) if way.part and recognised(way.checkpoint)]
        names = sorted({way.part for way in ways})
        raise WeightsMismatch(
            f"{checkpoint.path.name} has no network under {part!r} that a layout knows; its parts "
            f"are {', '.join(names[:8]) or 'without names'}"
        )
    found = find_blocks(checkpoint.tensors)
    blocks = tuple(block for blocks in found.values() for block in blocks)
    report = LoadReport(
        file=checkpoint.path.name,
        container=checkpoint.container,
        size=checkpoint.size,
        digest="",
        family=UNKNOWN,
        recognised_by="",
        architecture=f"{len(checkpoint.tensors)} tensors of a network that no layout knows",
        blocks=blocks,
        flags={"code": Flag(", ".join(found), "key", "whose names the blocks have")}
        if found
        else {},
        unexpected=tuple(checkpoint.tensors),
    )
    told = [f"This file {_unknown_in_words(report)}; {_CURE}."]
    if not blocks and says_non_local(report.file):
        told.append(NEVER_SAVED.format(name=report.file))
    return replace(report, warnings=tuple(told))


def _unknown_sentence(path: Path, report: LoadReport) -> str:
    name = f"the folder {path.name}" if path.is_dir() else path.name
    why = why_no_transformers(path)
    told = f", and {why}" if why else ""
    return f"{name} {_unknown_in_words(report)}{told}; {_CURE}"


def _unknown_in_words(report: LoadReport) -> str:
    n = len(report.blocks)
    known = ", ".join(family.name for family in FAMILIES if family.checkpoint is not None)
    text = f"holds {len(report.unexpected)} tensors whose names no layout knows ({known})"
    if not n:
        return f"{text}, and no non-local block"
    names = ", ".join(b.name for b in report.blocks[:3]) + (", ..." if n > 3 else "")
    return (
        f"{text}, with {n} non-local block{'' if n == 1 else 's'} ({names}) named as in "
        f"{report.flags['code'].value}"
    )
