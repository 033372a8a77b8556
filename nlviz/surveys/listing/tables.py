"""Tables of clips: CSV, TSV, Parquet, JSON and JSON lines with a column of paths and of labels.

Rows are read as they are asked for; only the two columns of a Parquet file are.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from itertools import chain, islice
from typing import IO, Any

from nlviz.errors import NlvizError
from nlviz.surveys.item import Item
from nlviz.surveys.listing.columns import IDS, LABELS, PATHS, Columns, columns_of, headless, plain
from nlviz.surveys.listing.kinds import name_kind
from nlviz.surveys.listing.lists import listed_in
from nlviz.surveys.listing.parquet_rows import cells_of, row_item
from nlviz.surveys.listing.places import Places
from nlviz.surveys.listing.rules import LeftOut, Rules
from nlviz.surveys.listing.texts import opened_text

Row = Mapping[str, Any]
Open = Callable[[], AbstractContextManager[Any]]

_BATCH = 4096  # rows of Parquet
_MOST_JSON = 1 << 29  # bytes of a JSON file, which is read as a whole
_DELIMITERS = ",\t;|"


def items_of_table(
    opens: Open, uri: str, name: str, places: Places, rules: Rules, left: LeftOut
) -> Iterator[Item]:
    """Yield the clips of a list or a table, in its order.

    Args:
        opens: opens the file for reading bytes.
        uri: of the file.
        name: of the file; its ending says what it is.
        places: finds what it names.
        rules: which columns to take.
        left: where rows without a path are counted.

    Raises:
        NlvizError: when it is broken, or has no column of paths.
        OSError: when it cannot be read.
    """
    low = name.lower()
    if low.endswith((".parquet", ".pq")):
        with opens() as file:
            yield from _of_parquet(file, uri, name, places, rules, left)
        return
    with opens() as file, opened_text(file, name) as text:
        if low.endswith((".jsonl", ".ndjson")):
            found = _of_rows(_json_lines(text, name), name, rules)
        elif low.endswith(".json"):
            found = _of_rows(_json_rows(text, name), name, rules)
            if found[0].is_id and found[0].label is None:
                raise _no_table(name)  # most files of JSON have ids of something
        elif low.endswith((".csv", ".tsv")):
            first = text.readline(1 << 20)
            lines = chain([first], text)
            delimiter = "\t" if low.endswith(".tsv") else _delimiter(first, rules)
            if not delimiter:
                yield from listed_in(lines, places, left, rules.label_column != "none")
                return
            found = _delimited(lines, delimiter, name, rules, left)
        else:
            yield from listed_in(text, places, left, rules.label_column != "none")
            return
        yield from _items(found[1], found[0], name, places, left)


def _items(
    rows: Iterable[Row], columns: Columns, name: str, places: Places, left: LeftOut
) -> Iterator[Item]:
    label = f", labels in {columns.label!r}" if columns.label else ", no labels"
    left.note(f"{name}: paths are taken from its column {columns.path!r}{label}.")
    for row in rows:
        path = _text(row.get(columns.path))
        if not path or "\0" in path:
            left.counts["row without a path"] += 1
            continue
        own = _text(row.get(columns.label)) if columns.label else ""
        if columns.label and columns.label.lower() == "template":
            own = own.replace("[", "").replace("]", "")
        if not columns.is_id:
            yield places.item(path, own)
            continue
        if columns.start and columns.end:
            start, end = (_seconds(row.get(c)) for c in (columns.start, columns.end))
            path = path if start is None or end is None else f"{path}_{start:06d}_{end:06d}"
        split = _text(row.get(columns.split)) if columns.split else ""
        yield places.item_of_id(path, own, split)


def _of_parquet(
    file: Any, uri: str, name: str, places: Places, rules: Rules, left: LeftOut
) -> Iterator[Item]:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        table = parquet.ParquetFile(file)
    except (pa.ArrowException, OSError) as error:
        raise NlvizError(f"{name} cannot be read as Parquet ({_brief(error)})") from None
    schema = table.schema_arrow
    columns = columns_of(name, schema.names, rules.path_column, rules.label_column)
    kind = schema.field(columns.path).type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    cells = cells_of(kind)
    is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    if cells is None and not is_text and not columns.is_id:
        raise NlvizError(
            f"the column {columns.path!r} of {name} holds {kind}, neither paths nor bytes; name "
            "another column"
        )
    wanted = columns.wanted
    if cells is not None:  # the bytes stay where they are until a clip is read
        beside = [f"{columns.path}.path"] if cells and "path" in {f.name for f in kind} else []
        wanted = [*beside, *([columns.label] if columns.label else [])]
    rows = _rows_of_parquet(table, name, wanted, columns.label)
    if cells is None:
        yield from _items(rows, columns, name, places, left)
        return
    left.note(f"{name}: clips are the bytes in its column {columns.path!r}.")
    for number, row in enumerate(rows):
        path, label = _text(row.get(columns.path)), _text(row.get(columns.label or ""))
        yield row_item(uri, name, number, columns.path, path, label)


def _rows_of_parquet(table: Any, name: str, wanted: list[str], label: str | None) -> Iterator[Row]:
    import pyarrow as pa

    if not wanted:
        yield from ({} for _ in range(table.metadata.num_rows))
        return
    classes = _class_names(table.schema_arrow.metadata, label)
    try:
        for batch in table.iter_batches(_BATCH, columns=wanted):
            for row in batch.to_pylist():
                if classes and label and isinstance(number := row[label], int):
                    row[label] = classes[number] if 0 <= number < len(classes) else ""
                yield row
    except pa.ArrowException as error:
        raise NlvizError(f"{name} is broken ({_brief(error)}); write it again") from None


def _class_names(metadata: Mapping[bytes, bytes] | None, label: str | None) -> list[str]:
    """Return the names of classes that the ``datasets`` library wrote beside their numbers."""
    try:
        told = json.loads((metadata or {})[b"huggingface"])["info"]["features"][label]["names"]
    except (KeyError, TypeError, ValueError):
        return []
    return [str(one) for one in told] if isinstance(told, list) else []


def _delimiter(line: str, rules: Rules) -> str:
    """Return what separates the cells of a line, or nothing where they are words of a list."""
    if line.strip() == rules.path_column or plain(line) in (*PATHS, *IDS):
        return ","  # the only column
    counts = {sign: line.count(sign) for sign in _DELIMITERS}
    best = max(counts, key=lambda sign: counts[sign])
    return best if counts[best] else ""


def _delimited(
    lines: Iterable[str], delimiter: str, name: str, rules: Rules, left: LeftOut
) -> tuple[Columns, Iterator[Row]]:
    reader = _rows_of_text(lines, delimiter, name)
    first = next(reader, [])
    bare = headless(first)
    numbers = [str(i + 1) for i in range(len(first))]
    if bare is None:
        columns = columns_of(
            name, [cell.strip() for cell in first], rules.path_column, rules.label_column
        )
        head: tuple[str, ...] = columns.names
    else:
        path = rules.path_column or bare[0]
        label = rules.label_column or bare[1] or "none"
        columns = columns_of(name, numbers, path, label)
        if rules.label_column is None and bare[1] is None and len(first) > 1:
            left.note(f"{name} has no header; name a column by its number to take labels from it.")
        head = tuple(numbers)
        reader = chain([first], reader)
    return columns, (dict(zip(head, cells, strict=False)) for cells in reader)


def _rows_of_text(lines: Iterable[str], delimiter: str, name: str) -> Iterator[list[str]]:
    reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=True)
    while True:
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise NlvizError(
                f"{name}, line {reader.line_num}, is no row of a table ({error})"
            ) from None
        if cells is None:
            return
        if any(cell.strip() for cell in cells) and not cells[0].startswith("#"):
            yield cells


def _json_lines(text: IO[str], name: str) -> Iterator[Row]:
    for number, line in enumerate(text, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        if not isinstance(row, dict):
            raise NlvizError(f"{name}, line {number}, is no JSON object; write one on each line")
        yield row


def _json_rows(text: IO[str], name: str) -> Iterator[Row]:
    """Return the rows of a JSON file: objects in a list, or what a path leads to."""
    whole = text.read(_MOST_JSON + 1)
    if len(whole) > _MOST_JSON:
        raise NlvizError(f"{name} is too large to be read as a whole; write it as JSON lines")
    try:
        told = json.loads(whole)
    except (ValueError, RecursionError):
        objects = [line for line in islice(whole.splitlines(), 2) if line.strip()]
        if len(objects) > 1 and all(line.lstrip().startswith("{") for line in objects):
            return _json_lines(iter(whole.splitlines()), name)  # type: ignore[arg-type]
        raise NlvizError(f"{name} is no JSON; see whether it is complete") from None
    if isinstance(told, dict):
        lists = [v for v in told.values() if isinstance(v, list) and v and isinstance(v[0], dict)]
        if len(lists) == 1:
            told = lists[0]
        elif all(isinstance(v, dict) for v in told.values()) and _is_row(told):
            told = [{_key(name): name, **inner} for name, inner in told.items()]
        elif any(_key(name) == "path" for name in told):
            told = [{"path": path, "label": label} for path, label in told.items()]
    if isinstance(told, list) and told and all(isinstance(row, str) for row in told):
        told = [{"path": row} for row in told]
    if not isinstance(told, list) or not all(isinstance(row, dict) for row in told):
        raise _no_table(name)
    return iter(told)


def _is_row(told: Mapping[str, Mapping[str, Any]]) -> bool:
    """Return whether the first of objects in an object says something of a clip."""
    name, inner = next(iter(told.items()), ("", {}))
    return _key(name) == "path" or any(plain(each) in (*PATHS, *LABELS) for each in inner)


def _no_table(name: str) -> NlvizError:
    return NlvizError(
        f"{name} holds no table of clips; a list of objects with a path each is one, and so is an "
        "object whose names are paths and whose values are labels"
    )


def _key(name: str) -> str:
    return "path" if name_kind(name) in ("film", "picture") else "id"


def _of_rows(rows: Iterator[Row], name: str, rules: Rules) -> tuple[Columns, Iterator[Row]]:
    first = next(rows, None)
    if first is None:
        raise NlvizError(f"{name} is empty; it should hold an object with a path for each clip")
    columns = columns_of(name, list(first), rules.path_column, rules.label_column)
    return columns, chain([first], rows)


def _text(value: Any) -> str:
    """Return a cell as text; a whole number that a table keeps as a float stays whole."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, (list, tuple)):
        return ", ".join(_text(one) for one in value)
    if isinstance(value, dict):
        return _text(value.get("path"))
    return str(value).strip()


def _seconds(value: Any) -> int | None:
    try:
        return int(float(value))
    except (TypeError, ValueError):
        return None


def _brief(error: Exception) -> str:
    return str(error).splitlines()[0].rstrip(".")[:200] if str(error) else type(error).__name__
