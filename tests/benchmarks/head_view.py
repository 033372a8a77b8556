"""Attention between words as a page, beside bertviz' head view: its bytes, and the first picture.

``python -m tests.benchmarks.head_view`` makes both pages of the same 12 heads in one run, opens
each in Chromium and waits for the picture: here the words with their colours, there the lines
between two columns of words. The head view holds every weight of every head as text; the page here
holds theta and phi. Needs ``pip install bertviz`` and, as its page asks for scripts by address, d3
5.7.0, jquery 2.1.4 and requirejs 2.3.6 of npm below ``NLVIZ_NODE_TOOLS``; says so where they lack.

bertviz: Vig 2019, arXiv 1906.05714, https://github.com/jessevig/bertviz
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from playwright.sync_api import Error, Route, sync_playwright

from nlviz.web.bundle import LIVE_VIEW
from nlviz.web.payloads.container import unpack
from tests.benchmarks.measuring import Figure, processor, save, table
from tests.chromium import find
from tests.web.live_view.text_containers import long_container

HEADS, D = 12, 64
SIZES = (64, 512, 4096)
MEMORY = 10 << 30  # bytes of address space that making the peer's page may take
PATIENCE = 180  # seconds for each step of the peer
TOOLS = Path(os.environ.get("NLVIZ_NODE_TOOLS", ".venv/node")) / "node_modules"
SCRIPTS = {
    "require.min.js": TOOLS / "requirejs" / "require.js",
    "d3.min.js": TOOLS / "d3" / "dist" / "d3.min.js",
    "jquery.min.js": TOOLS / "jquery" / "dist" / "jquery.min.js",
}
OURS, THEIRS = ".nlv-sentence", "#attention line, svg line"


def lacking() -> str:
    """Return what is not installed, or an empty text."""
    if importlib.util.find_spec("bertviz") is None:
        return "bertviz: pip install bertviz"
    missing = [str(path) for path in SCRIPTS.values() if not path.is_file()]
    return (
        ""
        if not missing
        else f"{', '.join(missing)}: npm install d3@5.7.0 jquery@2.1.4 requirejs@2.3.6"
    )


def peer_page(tokens: int, file: Path) -> None:
    """Write the peer's page of the same queries and keys; runs in a process of its own."""
    import torch
    from bertviz import head_view

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    header, arrays = unpack(long_container(tokens, HEADS, D))
    theta, phi = (
        torch.from_numpy(arrays[f"learned.{n}"].astype(np.float32)) for n in ("theta", "phi")
    )
    weights = (theta @ phi.transpose(1, 2)).softmax(-1)[None]
    start = time.perf_counter()
    html = head_view([weights], list(header["clip"]["tokens"]), html_action="return")
    print(time.perf_counter() - start)
    body = f"<!doctype html><meta charset='utf-8'><body>{html.data}</body>"
    file.write_text(body, "utf-8")


def first_picture(file: Path, selector: str) -> float | str:
    """Return seconds from opening a page until the picture is drawn, or why it was not."""

    def local(route: Route) -> None:
        known = SCRIPTS.get(route.request.url.rpartition("/")[2].split("?")[0])
        if known is None:
            route.abort()
        else:
            route.fulfill(path=str(known), content_type="text/javascript")

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=find(), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.route(re.compile("^https?://"), local)
        start = time.perf_counter()
        try:
            page.goto(file.as_uri(), timeout=1000 * PATIENCE, wait_until="commit")
            page.wait_for_selector(selector, timeout=1000 * PATIENCE, state="attached")
            # What was drawn is on the screen a frame later.
            page.evaluate("new Promise(d => requestAnimationFrame(() => setTimeout(d)))")
            return time.perf_counter() - start
        except Error as error:
            words = str(error).splitlines()[0]
            return "no picture" if "Timeout" in words else f"no picture: {words[:60]}"
        finally:
            browser.close()


def made_by_peer(tokens: int, file: Path) -> float | str:
    """Make the peer's page; return the seconds that it took, or why it could not be made."""
    command = [sys.executable, "-m", "tests.benchmarks.head_view", "--peer", str(tokens), str(file)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        return f"not made within {PATIENCE} s"
    if done.returncode == 0:
        return float(done.stdout.split()[-1])
    told = (done.stderr.strip().splitlines() or ["killed"])[-1]
    return f"not made: {told[:80]} (of {MEMORY >> 30} GiB)"


def counted(tokens: int) -> float:
    """Return the bytes of the peer's page, from the text of a few rows of one head."""
    import json

    _, arrays = unpack(long_container(tokens, HEADS, D))
    theta, phi = (arrays[f"learned.{n}"][0].astype(np.float32) for n in ("theta", "phi"))
    logits = theta[:32] @ phi.T
    rows = np.exp(logits - logits.max(1, keepdims=True))
    rows /= rows.sum(1, keepdims=True)
    return len(json.dumps(rows.astype(np.float32).tolist())) / 32 * tokens * HEADS


def megabytes(size: float) -> str:
    return f"{size / 1e6:.3g} MB" if size < 1e9 else f"{size / 1e9:.2g} GB"


def measured(tokens: int, folder: Path) -> list[Figure]:
    """Make both pages of so many words, open both, and compare."""
    ours, theirs = folder / f"ours{tokens}.html", folder / f"theirs{tokens}.html"
    start = time.perf_counter()
    ours.write_text(LIVE_VIEW.page(long_container(tokens, HEADS, D), title="words"), "utf-8")
    making = time.perf_counter() - start
    seconds = first_picture(ours, OURS)
    found = [
        Figure(
            f"{tokens} words: page", f"{megabytes(ours.stat().st_size)}, made in {making:.2g} s"
        ),
        Figure(f"{tokens} words: first picture", said(seconds)),
    ]
    made = made_by_peer(tokens, theirs)
    if isinstance(made, str):
        size = counted(tokens)
        found.append(
            Figure(f"{tokens} words: page of the head view", f"{made}; {megabytes(size)} counted")
        )
    else:
        size = theirs.stat().st_size
        shown = f"{megabytes(size)}, made in {made:.2g} s"
        found.append(Figure(f"{tokens} words: page of the head view", shown))
        peer = first_picture(theirs, THEIRS)
        found.append(Figure(f"{tokens} words: first picture of the head view", said(peer)))
        if isinstance(peer, float) and isinstance(seconds, float):
            found.append(
                Figure(f"{tokens} words: first picture, sooner by", f"{peer / seconds:.2g} x")
            )
    times = size / ours.stat().st_size
    found.append(Figure(f"{tokens} words: page, smaller by", f"{times:.3g} x"))
    return found


def said(seconds: float | str) -> str:
    return f"{seconds:.2g} s" if isinstance(seconds, float) else f"{seconds} within {PATIENCE} s"


def main() -> None:
    """Measure every size; print the figures and leave them with the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--words", type=int, action="append", help="sizes; all by default")
    parser.add_argument("--peer", nargs=2, metavar=("WORDS", "FILE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peer:
        peer_page(int(options.peer[0]), Path(options.peer[1]))
        return
    if why := lacking():
        print(f"skipped, this is not installed: {why}")
        return
    found: list[Figure] = []
    with tempfile.TemporaryDirectory() as folder:
        for tokens in options.words or SIZES:
            found += measured(tokens, Path(folder))
            print(table(found[-6:]), flush=True)
    if not options.words:
        version = importlib.metadata.version("bertviz")
        save("head_view", found, f"12 heads of one layer, bertviz {version}; {processor()}")


if __name__ == "__main__":
    main()
