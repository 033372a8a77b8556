"""Finds a Chromium for the browser tests, or installs one: ``python -m tests.chromium``."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

# The shell has no windows: it starts sooner, and draws no toolbar for each page that is opened.
SHELL = "chromium-headless-shell"
NAMES = (SHELL, "chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


def find() -> str | None:
    """Return the path of a Chromium: $CHROMIUM, one on PATH, or Playwright's own."""
    named = os.environ.get("CHROMIUM")
    if named and Path(named).is_file():
        return named
    for name in NAMES:
        if path := shutil.which(name):
            return path
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if Path(path).is_file() else None


def install() -> None:
    """Install a Chromium: from the distribution where we may, else Playwright's download."""
    if shutil.which("apt-get") and os.geteuid() == 0:
        subprocess.run(["apt-get", "update", "-qq"], check=False)
        for package in (SHELL, "chromium"):
            done = subprocess.run(
                ["apt-get", "install", "-y", "-qq", "--no-install-recommends", package],
                check=False,
                env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
                stdout=subprocess.DEVNULL,
            )
            if done.returncode == 0 and find():
                return
    subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=False)


if __name__ == "__main__":
    if find() is None:
        install()
    found = find()
    if found is None:
        sys.exit(
            "the browser tests need a Chromium and none could be installed; install one with your "
            "package manager, or set CHROMIUM to its path"
        )
    print(f"browser tests use {found}")
