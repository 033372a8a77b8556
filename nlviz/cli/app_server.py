"""Starts the app's server on this machine, and warms it up before the first visit."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
import webbrowser
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from nlviz.cli.app_entry import app_module
from nlviz.errors import NlvizError

ended = threading.Event()
"""The server has ended by itself, in order, as an interrupt asked it to."""


def serve(address: str, *, port: int | None, browser: bool, options: Sequence[str]) -> None:
    """Serve the app until it is interrupted, which ends it within a moment.

    Args:
        address: path and query of the page to open.
        port: of the server; None takes the first free one from 8501.
        browser: whether to open a browser.
        options: further options of ``streamlit run``.

    Raises:
        NlvizError: when no port is free.
    """
    port = free_port() if port is None else port
    url = f"http://127.0.0.1:{port}{address}"
    # PyTorch is imported behind the first view, see app/warm_up.py. That must not keep the server
    # from answering: threads take turns ten times as often.
    sys.setswitchinterval(0.0005)
    # Plotly, which Streamlit imports, looks into NumPy where it finds it: it must not find a half.
    import_module("numpy")
    ended.clear()
    # The server ends in order, and raises its signal again afterwards.
    before = signal.signal(signal.SIGTERM, _terminated)
    try:
        if browser:
            threading.Thread(target=_open_when_up, args=(url, port), daemon=True).start()
        print(f"nlviz opens at {url}", file=sys.stderr)
        _run_streamlit(port, options)
    except KeyboardInterrupt:
        if not ended.is_set():
            _leave(130)
            raise
    except SystemExit as end:
        _leave(end.code if isinstance(end.code, int) else int(end.code is not None))
        raise
    finally:
        signal.signal(signal.SIGTERM, before)
    _leave(0)


def _terminated(_signal: int, _frame: object) -> None:
    raise SystemExit(0)


def _run_streamlit(port: int, options: Sequence[str]) -> None:
    """Serve the app's script by Streamlit's own command line.

    Raises:
        KeyboardInterrupt: when it is interrupted before the server can end by itself.
        SystemExit: when an option is wrong, which is printed.
    """
    import click
    from streamlit.web import cli as streamlit_cli

    try:
        streamlit_cli.main(
            [
                "run",
                str(Path(__file__).with_name("app_asgi.py")),
                "--server.address=127.0.0.1",
                f"--server.port={port}",
                # Neither asks for an e-mail address nor opens a page of its own.
                "--server.headless=true",
                "--browser.gatherUsageStats=false",
                "--server.maxUploadSize=2048",  # MB: files of weights
                # A visitor in a hurry is several runs ahead: what a browser said it keeps it must
                # still have when an answer refers to it, or the page is at an end.
                "--global.maxCachedMessageAge=8",
                "--server.fileWatcherType=none",  # a reloaded module's errors are no NlvizError
                "--client.toolbarMode=minimal",
                "--client.showErrorDetails=none",
                *options,
            ],
            prog_name="streamlit",
            standalone_mode=False,
        )
    except click.Abort:
        raise KeyboardInterrupt from None
    except click.ClickException as error:
        error.show()
        raise SystemExit(error.exit_code) from None


def _leave(code: int) -> None:
    """End the process at once while the warm-up still runs; else return.

    Waiting for it would keep Ctrl-C without an answer for as long as it computes, since Streamlit's
    handler of the signal stays in place; and an import that Python's own end cuts off aborts the
    process, or hangs in it. Nothing is open by then but what the system closes.
    """
    if app_module("warm_up").running():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def free_port() -> int:
    """Return the first free port from 8501.

    Raises:
        NlvizError: when no port up to 8600 is free.
    """
    for port in range(8501, 8601):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise NlvizError("no port from 8501 to 8600 is free; name one with --port")


def _open_when_up(url: str, port: int) -> None:
    for _ in range(150):
        with socket.socket() as probe:
            probe.settimeout(0.2)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                webbrowser.open(url)
                return
        time.sleep(0.2)
