"""Programs that a test starts, and that end with it, whatever becomes of the test."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

PATIENCE = 120  # seconds for a server to answer


@contextmanager
def running(command: Sequence[str | Path], **options: Any) -> Iterator[subprocess.Popen[Any]]:
    """Start a program; on the way out it is asked to end, and killed where it does not."""
    with subprocess.Popen(command, **options) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(timeout=20)
                except subprocess.TimeoutExpired:
                    process.kill()


class Server(NamedTuple):
    """An app's server that answers."""

    url: str
    pid: int


@contextmanager
def served(folder: Path, *options: str, program: Path | None = None) -> Iterator[Server]:
    """Start ``nlviz app`` in a folder, on a port of its own, and wait until it answers."""
    program = program or Path(sys.executable).with_name("nlviz")
    port = free_port()
    log = folder / "log.txt"
    command = [program, "app", *options, "--port", str(port), "--no-browser"]
    with (
        log.open("wb") as out,
        running(command, cwd=folder, stdout=out, stderr=subprocess.STDOUT) as process,
    ):
        end = time.monotonic() + PATIENCE
        while not _answers(port):
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"the app did not start: {log.read_text()[-2000:]}")
            time.sleep(0.25)
        yield Server(f"http://127.0.0.1:{port}", process.pid)


def wait_until_it_answers(port: int) -> None:
    """Wait until a server of Streamlit answers.

    Raises:
        RuntimeError: when it does not.
    """
    end = time.monotonic() + PATIENCE
    while not _answers(port):
        if time.monotonic() > end:
            raise RuntimeError(f"nothing answers on port {port}")
        time.sleep(0.1)


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=2):
            return True
    except OSError:
        return False
