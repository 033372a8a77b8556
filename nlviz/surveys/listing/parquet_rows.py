"""Clips whose bytes are cells of a Parquet file, as data sets on the Hugging Face hub keep them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from typing import Any

from nlviz.errors import MissingClip, UnreadableClip
from nlviz.surveys.item import Item

Open = Callable[[], AbstractContextManager[Any]]


def cells_of(kind: Any) -> str | None:
    """Return what to add to a column's name to reach bytes; None where it holds none.

    >>> import pyarrow as pa
    >>> cells_of(pa.binary()), cells_of(pa.string())
    ('', None)
    >>> cells_of(pa.struct({"bytes": pa.binary(), "path": pa.string()}))
    '.bytes'
    """
    import pyarrow as pa

    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return ""
    if pa.types.is_struct(kind):
        inner = {field.name: field.type for field in kind}
        if "bytes" in inner and cells_of(inner["bytes"]) == "":
            return ".bytes"
    return None


def row_item(uri: str, table: str, number: int, column: str, path: str, label: str) -> Item:
    """Return the item of a cell; it is called by the path that stands beside it, or its number."""
    return Item(f"{uri}#{number}/{column}", "member", f"{table}/{path or number}", label)


class ParquetRows:
    """Reads cells of bytes one after another; going on costs nothing, going back begins anew.

    One cell at a time is in memory, with the page that it lies in.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._of = ("", "", "")  # table, its stamp, column
        self._next = 0  # row of the next cell
        self._cells: Iterator[bytes | None] = iter(())
        self._open = ExitStack()

    def read(self, item: Item, table: str, stamp: str, member: str, opens: Open) -> bytes:
        """Return the bytes of one cell.

        Args:
            item: whose bytes they are.
            table: its address.
            stamp: what changes when the table does.
            member: number of the row, and name of the column behind a slash.
            opens: opens the table.

        Raises:
            MissingClip: when the table has no such row any more.
            UnreadableClip: when it is broken, or the cell is empty.
        """
        import pyarrow as pa

        number, _, column = member.partition("/")
        with self._lock:
            try:
                content = self._cell((table, stamp, column), int(number), opens)
            except (pa.ArrowException, KeyError, IndexError, ValueError) as error:
                self._close()
                reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
                raise UnreadableClip(f"{item.name}: its table is broken ({reason})") from None
            except BaseException:
                self._close()
                raise
        if content is None:
            raise MissingClip(f"{item.name}: its table has no such row any more; list it again")
        if not content:
            raise UnreadableClip(f"{item.name}: its cell holds no bytes; the file is elsewhere")
        return content

    def _cell(self, of: tuple[str, str, str], number: int, opens: Open) -> bytes | None:
        """Return the bytes of a cell, none where it is empty; None where there is no such row."""
        if self._of != of or number < self._next:
            self._begin(of, number, opens)
        cell = self._found(number)
        if cell is None:  # in another group of rows
            self._begin(of, number, opens)
            cell = self._found(number)
        return cell

    def _found(self, number: int) -> bytes | None:
        for cell in self._cells:
            self._next += 1
            if self._next > number:
                return cell or b""
        return None

    def _begin(self, of: tuple[str, str, str], number: int, opens: Open) -> None:
        """Open the group of rows that holds one."""
        from pyarrow import parquet

        self._close()
        file = self._open.enter_context(opens())
        whole = parquet.ParquetFile(file, buffer_size=1 << 20, pre_buffer=False)
        first = 0
        for group in range(whole.num_row_groups):
            rows = whole.metadata.row_group(group).num_rows
            if number < first + rows:
                self._of, self._next = of, first
                self._cells = _cells(whole, group, of[2])
                return
            first += rows

    def _close(self) -> None:
        self._cells, self._of, self._next = iter(()), ("", "", ""), 0
        self._open.close()


def _cells(whole: Any, group: int, column: str) -> Iterator[bytes | None]:
    for batch in whole.iter_batches(1, row_groups=[group], columns=[column]):
        cell = batch.column(0)[0].as_py()
        yield cell.get("bytes") if isinstance(cell, dict) else cell
