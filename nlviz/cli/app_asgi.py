"""What Streamlit serves: the app's script, in a page whose head is its own from the first byte."""

from __future__ import annotations

import logging
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.middleware import Middleware
from streamlit.starlette import App

from nlviz.cli import app_server
from nlviz.cli.app_entry import app_module

# That the server started is said by the command itself.
logging.getLogger("uvicorn.error").setLevel(logging.WARNING)

app_module("main").prepare()


@asynccontextmanager
async def _lifespan(_app: App) -> AsyncIterator[None]:
    # From here the server listens to signals: a second one, sent as nobody seemed to hear the first
    # (see nlviz/cli/interrupts.py), would end it out of order.
    signal.set_wakeup_fd(-1)
    yield
    app_server.ended.set()


app = App(
    Path(__file__).with_name("app_entry.py"),
    middleware=[Middleware(app_module("head").WithHead)],
    lifespan=_lifespan,
)
