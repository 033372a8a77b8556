"""Rows of transformers in the browser: each frame its own class token and registers."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nlviz
from nlviz.analysis.controls import controls
from nlviz.web.payloads.container import pack, unpack
from nlviz.web.payloads.live_view import live_view
from tests.families.timm.test_vit import clip, vit
from tests.web.live_view.test_rows import run_node


@pytest.mark.parametrize("frames", [1, 2])
def test_every_source_is_computed_as_in_python(tmp_path: Path, frames: int) -> None:
    capture = nlviz.capture(vit(), clip(frames))
    header, arrays = unpack(live_view(capture, "blocks.1"))
    affinities = controls(capture, "blocks.1")
    cases: list[dict[str, Any]] = []
    sections = dict(arrays)
    for source in ("learned", "features", "position", "pairwise", "unary", "minus_mean"):
        affinity = affinities[source]
        prefix = affinity.keys.prefix
        for token in (0, 11, affinity.queries.size - 1):
            for head in ("mean", 1) if affinity.heads > 1 else ("mean",):
                row = affinity.rows([token])[:, 0]
                one = row.mean(0) if head == "mean" else row[int(head)]
                frame, y, x = affinity.queries.centre(token)
                name = f"expected{len(cases)}"
                sections[name] = one[prefix:].float().numpy()
                cases.append(
                    {
                        "name": f"{source} of token {token}, head {head}",
                        "query": {"frame": frame, "y": y, "x": x},
                        "token": token,
                        "view": {"source": source, "head": head},
                        "expected": name,
                        "tolerance": 2e-3,
                        "apart": float(one[:prefix].sum()),
                    }
                )
    learned = affinities["learned"]
    for name, head in itertools.product(dict.fromkeys(learned.token_names), ("mean", "max", 1)):
        shown = learned.map(token=name, head=head)  # type: ignore[arg-type]
        reached = True if shown.reachable is None else shown.reachable
        sections[f"expected{len(cases)}"] = np.where(reached, shown.weights, np.nan).ravel()
        cases.append(
            {
                "name": f"{name}, head {head}",
                "query": {"frame": 0, "y": 5.0, "x": 9.0},
                "token": 0,
                "view": {"token": name, "head": head, "direction": "to", "values": "logits"},
                "expected": f"expected{len(cases)}",
                "tolerance": 1e-5,
                "apart": shown.off_grid,
            }
        )
    path = tmp_path / "prefix.nlviz"
    path.write_bytes(pack({**header, "cases": cases}, sections))
    run_node("rows.test.mjs", NLVIZ_CONTAINER=str(path))
    assert max(abs(c["apart"]) for c in cases) > 0.05


def test_the_page_says_what_goes_to_tokens_without_a_place() -> None:
    header, _ = unpack(live_view(nlviz.capture(vit(), clip()), "blocks.1"))
    (learned,) = (s for s in header["sources"] if s["key"] == "learned")
    assert learned["prefix"] == 6
    assert learned["prefix_name"] == "class token and registers"
    assert "its own frame only" in header["block"]["note"]
    assert np.prod(learned["keys"]["shape"]) == 2 * 4 * 7
