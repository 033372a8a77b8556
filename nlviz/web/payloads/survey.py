"""The bytes of a survey's report: its dict, packed small, and the two colour tables.

The header holds what a page must know before it reads anything: language and channel. The report
itself is a section of JSON under gzip, which every browser undoes by itself; numbers have five
digits, each thumbnail stands there once, and an example is a line of numbers.
"""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from nlviz.picture import colour_table
from nlviz.web.payloads.container import pack

CHANNEL = "survey"
_DIGITS = 5


def survey_payload(
    report: Mapping[str, Any],
    *,
    server: str | None = None,
    language: str | None = None,
    channel: str | None = None,
) -> bytes:
    """Return the bytes that the browser draws a survey's report from.

    Args:
        report: what ``SurveyReport.to_dict`` returns.
        server: address of the app that links lead to, which the page lets its reader change; None
            where the page is one of the app's own.
        language: of the page; None for its reader's.
        channel: of the app's component.

    >>> blob = survey_payload({"surveys": [], "typical": []}, server="http://localhost:8501")
    >>> packed(blob)["clips"]
    []
    """
    known = report.get("thumbnails") or {}
    whole = {**report, **_with_clips(report.get("typical") or [], known), "server": server}
    whole.pop("thumbnails", None)
    told = json.dumps(_rounded(whole), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    # The time in a gzip header would make two files of one report differ.
    small = gzip.compress(told.encode(), compresslevel=6, mtime=0)
    header = {"language": language, "channel": channel}
    return pack(
        header,
        {
            "report": np.frombuffer(small, np.uint8),
            "lut_seq": np.asarray(colour_table("sequential")),
            "lut_div": np.asarray(colour_table("diverging")),
        },
    )


def packed(payload: bytes) -> dict[str, Any]:
    """Return the report as ``survey_payload`` packed it."""
    from nlviz.web.payloads.container import unpack

    read: dict[str, Any] = json.loads(gzip.decompress(unpack(payload)[1]["report"].tobytes()))
    return read


def _with_clips(typical: list[Any], pictures: Mapping[str, str]) -> dict[str, Any]:
    """Return examples that name their clip by its number, and the clips with their thumbnails."""
    clips: dict[tuple[str, str], int] = {}
    listed: list[dict[str, Any]] = []

    def number(example: Mapping[str, Any]) -> int:
        key = (example["digest"], example["uri"])
        if key not in clips:
            clips[key] = len(listed)
            told = {name: example.get(name) for name in ("clip", "digest", "uri", "label")}
            listed.append({**told, "thumbnail": pictures.get(example["digest"])})
        return clips[key]

    def short(example: Mapping[str, Any]) -> list[Any]:
        at = example["query"] or {}
        place = [at.get(name) for name in ("frame", "y", "x")]
        return [number(example), *place, example.get("distance"), example.get("why") or ""]

    def of_head(found: Mapping[str, Any] | None) -> dict[str, Any]:
        return {
            kind: [short(each) for each in (found or {}).get(kind) or []]
            for kind in ("most", "least")
        }

    shortened = [
        [[of_head(head) for head in layer or []] for layer in survey or []] for survey in typical
    ]
    return {"typical": shortened, "clips": listed}


def _rounded(value: Any) -> Any:
    """Return a value with numbers of five digits, and null for what is no number."""
    if isinstance(value, Mapping):
        return {str(key): _rounded(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(each) for each in value]
    if isinstance(value, np.ndarray | np.generic):
        return _rounded(value.tolist())
    if isinstance(value, float):
        return _short(value) if math.isfinite(value) else None
    return value


def _short(value: float) -> float | int:
    near = float(f"{value:.{_DIGITS}g}")
    return int(near) if near.is_integer() and abs(near) < 1e15 else near
