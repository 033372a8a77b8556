"""The page's head as the server sends it."""

from __future__ import annotations

import asyncio
import gzip
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import streamlit

from app.head import HEAD, WithHead, preloads

PAGE = b"<html><head><title>x</title></head><body>\xc3\xa9</body></html>"


def answered(
    body: bytes, kind: bytes, *, accept: bytes, method: str = "GET", status: int = 200
) -> tuple[dict[bytes, bytes], bytes, dict[bytes, bytes]]:
    """Return the headers and the body of an answer, and the headers that the app was asked with."""
    asked: dict[bytes, bytes] = {}
    sent: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        asked.update(scope["headers"])
        packed = asked.get(b"accept-encoding") == b"gzip"
        whole = gzip.compress(body) if packed else body
        headers = [(b"content-type", kind), (b"content-length", str(len(whole)).encode())]
        headers += [(b"etag", b'"1"'), (b"cache-control", b"no-cache")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        middle = len(whole) // 3
        await send({"type": "http.response.body", "body": whole[:middle], "more_body": True})
        await send({"type": "http.response.body", "body": whole[middle:]})

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"accept", accept), (b"accept-encoding", b"gzip"), (b"if-none-match", b'"1"')]
    scope = {"type": "http", "method": method, "path": "/", "headers": headers}
    with ThreadPoolExecutor(1) as apart:  # a browser's tests leave a loop running in this thread
        apart.submit(asyncio.run, WithHead(app)(scope, None, send)).result()  # type: ignore[arg-type]
    start, *rest = sent
    return dict(start["headers"]), b"".join(one["body"] for one in rest), asked


def test_a_page_gets_the_head_before_its_end() -> None:
    headers, body, asked = answered(PAGE, b"text/html; charset=utf-8", accept=b"text/html,*/*")
    before, after = PAGE.split(b"</head>")
    assert body.startswith(before + HEAD)
    assert body.endswith(b"</head>" + after)
    assert int(headers[b"content-length"]) == len(body)
    # A browser that has an older one must not keep it.
    assert b"etag" not in headers
    assert b"if-none-match" not in asked
    assert headers[b"cache-control"] == b"no-cache"


@pytest.mark.parametrize(
    "how",
    [
        {"kind": b"text/javascript", "accept": b"*/*"},
        {"kind": b"text/html", "accept": b"text/html", "method": "POST"},
        {"kind": b"text/html", "accept": b"text/html", "status": 404},
        {"kind": b"image/png", "accept": b"text/html,image/png"},
    ],
)
def test_what_is_no_page_stays_as_it_is(how: dict[str, Any]) -> None:
    headers, body, asked = answered(PAGE, **how)
    packed = asked.get(b"accept-encoding") == b"gzip"
    assert (gzip.decompress(body) if packed else body) == PAGE
    assert headers[b"etag"] == b'"1"'


def test_the_modules_of_the_first_view_are_fetched_with_streamlits_own_page() -> None:
    folder = Path(streamlit.__file__).parent / "static"
    page = (folder / "index.html").read_bytes()
    found = re.findall(rb'href="\./([^"]+)"', preloads(page))
    assert any(b"BidiComponent" in name for name in found)
    assert all((folder / name.decode()).is_file() for name in found)
    assert not any(name in page for name in found)
