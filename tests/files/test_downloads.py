"""Downloads from a real server: whole, in parts, wrong, refused, several at once."""

from __future__ import annotations

import hashlib
import json
import selectors
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from nlviz.errors import DownloadFailed
from nlviz.files import local
from nlviz.files.cache import cache_folder, remembered_digest
from nlviz.files.downloads import fetch, where

CONTENT = bytes(range(251)) * 4000  # 1 MB
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves one file.

    Attributes:
        content: of the file.
        etag: its version, or empty for none.
        ranges: whether parts are served.
        cut: close the connection after this many bytes of the next answers.
        shift: how far from the wanted place a part begins.
        gate: nothing is sent before it is set.
        asked: the Range header of each request, or None.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.etag, self.ranges, self.cut, self.shift = CONTENT, '"1"', True, 0, 0
        self.gate = threading.Event()
        self.gate.set()
        self.asked: list[str | None] = []

    def url(self, path: str = "net.pth") -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/{path}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        server, wanted = self.server, self.headers.get("Range")
        server.asked.append(wanted)
        server.gate.wait(20)
        if self.path.startswith("/missing"):
            self.send_error(404)
            return
        if self.path.startswith("/moved"):
            self.send_response(302)
            self.send_header("Location", self.path.partition("?")[2])
            self.end_headers()
            return
        version = self.headers.get("If-Range")
        start = 0
        if wanted and server.ranges and (version is None or version == server.etag):
            start = int(wanted.removeprefix("bytes=").removesuffix("-")) + server.shift
            if start >= len(server.content):
                self.send_error(416)
                return
            self.send_response(206)
            last = len(server.content) - 1
            self.send_header("Content-Range", f"bytes {start}-{last}/{last + 1}")
        else:
            self.send_response(200)
        body = server.content[start:]
        self.send_header("Content-Length", str(len(body)))
        if server.etag:
            self.send_header("ETag", server.etag)
        self.end_headers()
        with suppress(ConnectionError):
            self.wfile.write(body[: server.cut] if server.cut else body)

    def log_message(self, *args: object) -> None:
        """Keep the output of the tests clean."""


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NLVIZ_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.delenv("NLVIZ_OFFLINE", raising=False)
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.gate.set()
        running.shutdown()
        thread.join()


def part_of(url: str, content: bytes, *, version: str = "", name: str = "net.pth") -> Path:
    target = where(url, file_name=name)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{name}.part")
    part.write_bytes(content)
    if version:
        part.with_name(f"{name}.part.version").write_text(version)
    return part


def said(failure: pytest.ExceptionInfo[DownloadFailed], *parts: str) -> None:
    told = str(failure.value)
    assert "\n" not in told
    assert all(part in told for part in parts), told


def only_file(target: Path) -> bool:
    return {p.name for p in target.parent.iterdir()} <= {target.name, f"{target.name}.lock"}


def test_a_file_is_downloaded_once_and_progress_is_told(server: Server) -> None:
    told: list[tuple[str, float]] = []
    url = server.url()
    path = fetch(url, digest=DIGEST, file_name="net.pth", progress=lambda *a: told.append(a))
    assert path == cache_folder() / "weights" / "net.pth"
    assert path.read_bytes() == CONTENT
    assert only_file(path)
    shares = [share for _, share in told]
    assert shares == sorted(shares) and shares[-1] == 1.0 and len(shares) > 2
    assert told[0][0].startswith("Downloading net.pth, ")
    assert fetch(url, digest=DIGEST[:8], file_name="net.pth") == path
    assert len(server.asked) == 1


def test_files_of_one_name_from_two_addresses_do_not_meet(server: Server) -> None:
    first = fetch(server.url("a/net.pth"))
    server.content = b"another"
    second = fetch(server.url("b/net.pth"))
    assert first.name == second.name == "net.pth"
    assert (first.read_bytes(), second.read_bytes()) == (CONTENT, b"another")


@pytest.mark.parametrize(("version", "digest"), [('"1"', ""), ("", DIGEST), ('"1"', DIGEST)])
def test_a_download_goes_on_where_it_stopped(server: Server, version: str, digest: str) -> None:
    part_of(server.url(), CONTENT[:700_001], version=version)
    path = fetch(server.url(), digest=digest, file_name="net.pth")
    assert path.read_bytes() == CONTENT
    assert server.asked == ["bytes=700001-"]
    assert only_file(path)


def test_a_part_that_nothing_vouches_for_is_not_continued(server: Server) -> None:
    part_of(server.url(), b"x" * 700_001)
    assert fetch(server.url(), file_name="net.pth").read_bytes() == CONTENT
    assert server.asked == [None]


def test_a_server_without_parts_sends_the_whole_again(server: Server) -> None:
    server.ranges = False
    part_of(server.url(), CONTENT[:700_001], version='"1"')
    assert fetch(server.url(), digest=DIGEST, file_name="net.pth").read_bytes() == CONTENT
    assert server.asked == ["bytes=700001-"]


def test_a_file_that_changed_on_the_server_is_not_mixed_with_its_old_part(server: Server) -> None:
    server.etag = '"2"'
    part_of(server.url(), b"x" * 700_001, version='"1"')
    assert fetch(server.url(), file_name="net.pth").read_bytes() == CONTENT


@pytest.mark.parametrize("fault", ["wrong part", "too long", "shifted"])
def test_a_part_that_does_not_fit_is_dropped(server: Server, fault: str) -> None:
    old = b"x" * (700_001 if fault != "too long" else len(CONTENT) + 5)
    server.shift = 7 if fault == "shifted" else 0
    part_of(server.url(), old, version='"1"')
    path = fetch(server.url(), digest=DIGEST, file_name="net.pth")
    assert path.read_bytes() == CONTENT
    assert len(server.asked) == 2 and server.asked[1] is None


def test_a_cut_connection_leaves_a_part_that_the_next_call_continues(server: Server) -> None:
    server.cut = 300_000
    with pytest.raises(DownloadFailed) as failure:
        fetch(server.url(), digest=DIGEST, file_name="net.pth")
    said(
        failure,
        server.url(),
        "300,000 of 1,004,000 bytes",
        str(where(server.url(), file_name="net.pth")),
    )
    server.cut = 0
    assert fetch(server.url(), digest=DIGEST, file_name="net.pth").read_bytes() == CONTENT
    assert server.asked == [None, "bytes=300000-"]


def test_another_file_than_the_digest_means_is_deleted(server: Server) -> None:
    with pytest.raises(DownloadFailed) as failure:
        fetch(server.url(), digest="0123456789ab", file_name="net.pth")
    said(failure, server.url(), DIGEST[:12], "0123456789ab", "deleted")
    target = where(server.url(), file_name="net.pth")
    assert not target.exists() and only_file(target)


def test_a_file_put_there_by_hand_is_used_after_its_digest_was_checked(server: Server) -> None:
    target = where(server.url(), file_name="net.pth")
    target.parent.mkdir(parents=True)
    target.write_bytes(CONTENT)
    assert fetch(server.url(), digest=DIGEST, file_name="net.pth") == target
    target.write_bytes(b"something else")
    with pytest.raises(DownloadFailed) as failure:
        fetch(server.url(), digest=DIGEST, file_name="net.pth")
    said(failure, str(target), DIGEST[:12], "delete it")
    assert target.read_bytes() == b"something else"
    assert not server.asked


def test_offline_only_what_is_there_can_be_had(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NLVIZ_OFFLINE", "1")
    target = where(server.url(), file_name="net.pth")
    with pytest.raises(DownloadFailed) as failure:
        fetch(server.url(), digest=DIGEST, file_name="net.pth")
    said(failure, "NLVIZ_OFFLINE", server.url(), str(target))
    assert not server.asked and not target.parent.exists()
    target.parent.mkdir(parents=True)
    target.write_bytes(CONTENT)
    assert fetch(server.url(), digest=DIGEST, file_name="net.pth") == target


def test_what_the_server_refuses_is_told_with_the_place_for_a_file(server: Server) -> None:
    url = server.url("missing/net.pth")
    with pytest.raises(DownloadFailed) as failure:
        fetch(url)
    said(failure, "404", url, str(where(url)))


def test_a_server_that_is_not_there(server: Server) -> None:
    with pytest.raises(DownloadFailed) as failure:
        fetch("http://127.0.0.1:9/net.pth")
    said(failure, "http://127.0.0.1:9/net.pth", "put it at")


@pytest.mark.parametrize(
    "url",
    ["file:///etc/passwd", "ftp://127.0.0.1/net.pth", "net.pth", "http:///net.pth", "http://[::1/a",
     "data:,x"],
)  # fmt: skip
def test_only_http_addresses_are_followed(server: Server, url: str) -> None:
    with pytest.raises(DownloadFailed, match="needs an http or https address"):
        fetch(url)


@pytest.mark.parametrize("beyond", ["file:///etc/passwd", "ftp://127.0.0.1/net.pth"])
def test_nor_does_an_answer_lead_elsewhere(server: Server, beyond: str) -> None:
    with pytest.raises(DownloadFailed, match="could not be downloaded"):
        fetch(server.url(f"moved?{beyond}"), file_name="net.pth")
    assert not where(server.url(), file_name="net.pth").exists()


def test_an_answer_may_lead_to_another_http_address(server: Server) -> None:
    path = fetch(server.url(f"moved?{server.url()}"), digest=DIGEST, file_name="net.pth")
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize("name", ["..", "", "a/b", "..\\b", "a\0", " . ", "c:net", "n" * 201])
def test_names_stay_in_the_cache(server: Server, name: str) -> None:
    with pytest.raises(DownloadFailed, match="plain file name"):
        fetch(server.url(), file_name=name)
    with pytest.raises(DownloadFailed, match="plain file name"):
        fetch(server.url("folder/%2e%2e"))


def test_a_digest_is_hex(server: Server) -> None:
    with pytest.raises(DownloadFailed, match="6 to 64 hex digits"):
        fetch(server.url(), digest="sha256:12")


def test_a_file_that_does_not_fit_on_the_disk_is_not_begun(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Usage:
        free = 1_000

    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage)
    with pytest.raises(DownloadFailed, match=r"it needs 980\.5 KiB, 1000 B are free"):
        fetch(server.url(), file_name="net.pth")
    assert not where(server.url(), file_name="net.pth").with_name("net.pth.part").exists()


def test_an_interrupted_download_keeps_its_part(server: Server) -> None:
    class Interrupted(Exception):
        pass

    def progress(sentence: str, share: float) -> None:
        if share > 0.5:
            raise Interrupted

    with pytest.raises(Interrupted):
        fetch(server.url(), digest=DIGEST, file_name="net.pth", progress=progress)
    assert fetch(server.url(), digest=DIGEST, file_name="net.pth").read_bytes() == CONTENT
    assert server.asked[1] is not None


def test_threads_that_want_one_file_download_it_once(server: Server) -> None:
    server.gate.clear()
    waiting = threading.Event()

    def progress(sentence: str, share: float) -> None:
        if sentence.startswith("Waiting for another download"):
            waiting.set()

    def ask(_: int) -> bytes:
        return fetch(
            server.url(), digest=DIGEST, file_name="net.pth", progress=progress
        ).read_bytes()

    with ThreadPoolExecutor(4) as pool:
        answers = pool.map(ask, range(4))
        assert waiting.wait(20)
        server.gate.set()
        assert all(answer == CONTENT for answer in answers)
    assert server.asked == [None]


def test_processes_that_want_one_file_download_it_once(server: Server) -> None:
    server.gate.clear()
    code = (
        "import sys; from nlviz.files.downloads import fetch\n"
        "tell = lambda sentence, share: print(sentence, flush=True)\n"
        "print(fetch(sys.argv[1], digest=sys.argv[2], file_name='net.pth', progress=tell))"
    )
    running = [
        subprocess.Popen(
            [sys.executable, "-c", code, server.url(), DIGEST], stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    try:
        first = next(p for p in _ready(running))
        assert first.startswith("Waiting for another download")
        server.gate.set()
        outputs = [process.communicate(timeout=60)[0] for process in running]
    finally:
        for process in running:
            process.kill()
            process.wait()
    assert all("net.pth" in out.splitlines()[-1] for out in outputs)
    assert where(server.url(), file_name="net.pth").read_bytes() == CONTENT
    assert server.asked == [None]


def _ready(running: list[subprocess.Popen[str]]) -> Iterator[str]:
    """Yield the first line that any of the processes prints."""
    with selectors.DefaultSelector() as ready:
        for process in running:
            assert process.stdout is not None
            ready.register(process.stdout, selectors.EVENT_READ)
        for key, _ in ready.select(60):
            yield key.fileobj.readline()  # type: ignore[union-attr]


def test_the_cache_is_where_the_user_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NLVIZ_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.setenv("NLVIZ_CACHE", "~/there")
    assert cache_folder() == Path.home() / "there"
    monkeypatch.delenv("NLVIZ_CACHE")
    assert "nlviz" in cache_folder().parts


class TestRememberedDigest:
    @pytest.fixture(autouse=True)
    def cache(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
        monkeypatch.setenv("NLVIZ_CACHE", str(tmp_path / "cache"))
        return tmp_path / "cache"

    @pytest.fixture
    def hashed(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """Names of the files that were read to the end."""
        names: list[str] = []
        real = hashlib.file_digest

        def counted(handle: object, kind: str) -> object:
            names.append(Path(getattr(handle, "name", "")).name)
            return real(handle, kind)  # type: ignore[type-var]

        monkeypatch.setattr(local.hashlib, "file_digest", counted)
        return names

    def test_it_is_computed_once_and_again_after_a_change(
        self, tmp_path: Path, hashed: list[str]
    ) -> None:
        path = tmp_path / "a.pth"
        path.write_bytes(b"one")
        first = remembered_digest(path)
        assert first == hashlib.sha256(b"one").hexdigest() == remembered_digest(path)
        assert hashed == ["a.pth"]
        path.write_bytes(b"another")
        assert remembered_digest(path) == hashlib.sha256(b"another").hexdigest()
        assert hashed == ["a.pth", "a.pth"]

    @pytest.mark.parametrize("broken", ["", "{", "[]", '{"x": 3}', '{"x": [1, 2]}', "\xff"])
    def test_a_broken_memory_is_begun_again(
        self, tmp_path: Path, cache: Path, hashed: list[str], broken: str
    ) -> None:
        cache.mkdir()
        (cache / "digests.json").write_bytes(broken.encode("latin-1"))
        path = tmp_path / "a.pth"
        path.write_bytes(b"one")
        assert remembered_digest(path) == remembered_digest(path)
        assert len(hashed) == 1
        assert list(json.loads((cache / "digests.json").read_text())) == [str(path)]

    def test_a_cache_that_cannot_be_written_costs_time_only(
        self, tmp_path: Path, cache: Path, hashed: list[str]
    ) -> None:
        cache.write_bytes(b"a file where the folder should be")
        path = tmp_path / "a.pth"
        path.write_bytes(b"one")
        assert remembered_digest(path) == remembered_digest(path)
        assert len(hashed) == 2

    def test_threads_do_not_lose_what_others_remember(self, tmp_path: Path, cache: Path) -> None:
        paths = [tmp_path / f"{n}.pth" for n in range(24)]
        for path in paths:
            path.write_bytes(path.name.encode())
        with ThreadPoolExecutor(6) as pool:
            found = list(pool.map(remembered_digest, paths))
        assert found == [hashlib.sha256(p.name.encode()).hexdigest() for p in paths]
        known = json.loads((cache / "digests.json").read_text())
        assert {Path(name).name: entry[2] for name, entry in known.items()} == {
            path.name: digest for path, digest in zip(paths, found, strict=True)
        }


def test_a_host_that_cannot_be_found_is_told_without_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody(*_: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NLVIZ_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NLVIZ_CACHE", str(tmp_path))
    monkeypatch.setattr(socket, "getaddrinfo", nobody)
    with pytest.raises(DownloadFailed, match=r"no\.such\.host cannot be found; check") as told:
        fetch("http://no.such.host/net.pth")
    assert "rrno" not in str(told.value)
    assert str(where("http://no.such.host/net.pth")) in str(told.value)
