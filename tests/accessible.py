"""What axe-core finds on a page, of the kinds that keep people from using it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from playwright.sync_api import Page

ROOT = Path(__file__).parents[1]
AXE = (
    Path(os.environ.get("NLVIZ_NODE_TOOLS", ROOT / ".venv/node"))
    / "node_modules"
    / "axe-core"
    / "axe.min.js"
)
needs_axe = pytest.mark.skipif(
    not AXE.exists(), reason="needs npm and a network once: make .venv/node/installed"
)


def serious(page: Page) -> list[str]:
    """Return the critical and serious findings: rule, and where, one a line."""
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found: list[str] = page.evaluate(
        """async () => {
          const { violations } = await axe.run(document, { resultTypes: ["violations"] });
          return violations.filter(({ impact }) => impact === "critical" || impact === "serious")
            .flatMap(({ id, nodes }) => nodes.map(({ target, html, any }) =>
              [id, target.flat().join(" "), html.slice(0, 160), any[0]?.message ?? ""].join(" ")));
        }"""
    )
    return found
