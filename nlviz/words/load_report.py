"""A load report in words: for the terminal, the app and files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

from nlviz.families.reading.adapter import InputSpec
from nlviz.families.reading.layout import Block
from nlviz.families.reading.report import IN_MEMORY, LoadReport
from nlviz.files.local import bytes_in_words
from nlviz.sentences import ordinal

SHOWN_KEYS = 8


@dataclass(frozen=True)
class Section:
    """One part of a report.

    Attributes:
        title: what it is about.
        rows: (what, value, remark).
        bad: whether it is a reason not to believe the network.
    """

    title: str
    rows: tuple[tuple[str, str, str], ...]
    bad: bool = False


def sections(report: LoadReport, *, warnings: bool = True) -> list[Section]:
    """Return a report's parts, the most important first; empty ones are left out.

    Args:
        report: what was found in a file.
        warnings: whether the warnings are one of the parts.

    >>> r = LoadReport("a.pth", "torch zip", 2048, "", "toy", "its keys", "I3D R50", matched=3)
    >>> [s.title for s in sections(r)]
    ['File', 'Keys']
    >>> sections(r)[0].rows[0]
    ('file', 'a.pth', 'torch zip, 2.0 KiB')
    """
    about = [
        ("name", report.file, report.container)
        if report.container == IN_MEMORY
        else ("file", report.file, f"{report.container}, {bytes_in_words(report.size)}"),
        ("family", report.family, f"recognised by {report.recognised_by}"),
        ("architecture", report.architecture, _blocks_in_words(report.blocks)),
    ]
    if report.part or report.taken_off:
        off = f"{report.taken_off} taken off the names" if report.taken_off else ""
        about.append(("weights", report.part or "all of the file", off))
    if report.digest:
        about.append(("sha256", report.digest, ""))
    if report.input_spec is not None:
        about.append(("input", _input(report.input_spec), report.input_note))
    counts = [
        ("matched", str(report.matched), "became a tensor of the network"),
        *((("filled", str(len(report.filled)), "not in the file"),) if report.filled else ()),
        *((("dropped", str(len(report.dropped)), "explained"),) if report.dropped else ()),
    ]
    parts = [
        Section("File", tuple(about)),
        Section(
            "Non-local blocks",
            tuple(
                (b.name, b.pairwise, f"{b.channels} channels, {b.inner} inner" * bool(b.channels))
                for b in report.blocks
            ),
        ),
        Section(
            "How it is computed",
            tuple(
                (name, _value(f.value), f"{f.origin}" + (f": {f.note}" if f.note else ""))
                for name, f in report.flags.items()
            ),
        ),
        Section("Keys", tuple(counts)),
        Section("Missing", _keys(report.missing, "nothing in the file fills it"), bad=True),
        Section("Unexpected", _keys(report.unexpected, "nobody can explain it"), bad=True),
        Section("Of another shape", _keys(report.misshapen, ""), bad=True),
        Section("Filled", _reasons(report.filled)),
        Section("Dropped", _reasons(report.dropped)),
        Section("Also in the file", tuple(("", n, what) for n, what in report.beside.items())),
        Section("Warnings", tuple(("", w, "") for w in report.warnings * warnings)),
    ]
    return [part for part in parts if part.rows]


def report_text(report: LoadReport) -> str:
    """Return a report as lines for a terminal.

    >>> r = LoadReport("a.pth", "torch zip", 2048, "", "toy", "its keys", "I3D R50", matched=3)
    >>> print(report_text(r).splitlines()[-1])
    Complete: every tensor of the network is there and every key of the file is explained.
    """
    lines = []
    for part in sections(report):
        lines.append(part.title)
        wide = max(len(what) for what, _, _ in part.rows)
        for what, value, remark in part.rows:
            end = f"  ({remark})" if remark else ""
            lines.append("  " + f"{what:{wide}}  {value}{end}".strip())
        lines.append("")
    return "\n".join([*lines, verdict(report)])


def verdict(report: LoadReport) -> str:
    """Return in a sentence whether the file became a whole network.

    >>> verdict(LoadReport("a.pth", "torch zip", 9, "", "unknown", "nothing", "unknown"))
    'Not loaded: no layout that nlviz knows fits this file.'
    """
    if report.complete and report.container == IN_MEMORY:
        return "Complete: the network was built in memory, not read from a file."
    if report.complete:
        return (
            "Complete: every tensor of the network is there and every key of the file is explained."
        )
    if not report.matched:
        return "Not loaded: no layout that nlviz knows fits this file."
    faults = [
        f"{len(keys)} {what}"
        for what, keys in (
            ("missing", report.missing),
            ("unexpected", report.unexpected),
            ("of another shape", report.misshapen),
        )
        if keys
    ]
    return f"Not complete: {', '.join(faults)}; its maps would not be the original's."


def report_json(report: LoadReport) -> str:
    """Return a report as JSON, with every key.

    >>> r = LoadReport("a.pth", "torch zip", 2048, "", "toy", "its keys", "I3D R50", matched=3)
    >>> json.loads(report_json(r))["complete"]
    True
    """
    return json.dumps(
        {**asdict(report), "complete": report.complete}, indent=2, default=_value, sort_keys=False
    )


def _blocks_in_words(blocks: Sequence[Block]) -> str:
    """Return where blocks stand: behind res3: 1, 3; res4: 1, 3, 5."""
    if not blocks:
        return ""
    if not all("." in b.name for b in blocks):
        places = ", ".join(b.name for b in blocks)
    else:
        places = "; ".join(
            f"{stage}: " + ", ".join(b.name.rsplit(".", 1)[1] for b in same)
            for stage, same in groupby(blocks, key=lambda b: b.name.rsplit(".", 1)[0])
        )
    return f"behind {places}"


def _input(spec: InputSpec) -> str:
    seen = ""
    if spec.frames is not None:
        seen = f"{spec.frames} frames"
        seen += f", every {ordinal(spec.stride)}, " if spec.stride and spec.stride > 1 else ", "
    return f"{seen}shorter side {spec.size} px"


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "none"
    if isinstance(value, (tuple, list)):
        return " x ".join(map(str, value))
    return str(value)


def _keys(keys: Sequence[str], remark: str) -> tuple[tuple[str, str, str], ...]:
    shown = [("", key, remark) for key in keys[:SHOWN_KEYS]]
    if len(keys) > SHOWN_KEYS:
        shown.append(("", f"and {len(keys) - SHOWN_KEYS} more", ""))
    return tuple(shown)


def _reasons(reasons: Any) -> tuple[tuple[str, str, str], ...]:
    """Return one row for each reason, with the number of keys that share it."""
    by_reason: dict[str, list[str]] = {}
    for key, reason in reasons.items():
        by_reason.setdefault(reason, []).append(key)
    return tuple(
        (str(len(keys)), keys[0] + (", ..." if len(keys) > 1 else ""), reason)
        for reason, keys in by_reason.items()
    )
