"""The atlas without a page: its layout and its levels in node, its script, its bytes."""

from __future__ import annotations

import collections
import json
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

import nlviz
from nlviz.picture import colour_table
from nlviz.web.bundle import ATLAS, FOLDER
from nlviz.web.payloads.atlas import atlas_payload, levels
from nlviz.web.payloads.container import unpack
from tests.analysis.test_atlas import PLACE, mixed
from tests.web.live_view.test_bundle import names
from tests.web.live_view.test_rows import node
from tests.words_and_boxes import of_film_and_words


def test_layout_and_levels() -> None:
    script = Path(__file__).with_name("atlas.test.mjs")
    done = subprocess.run([node(), "--test", str(script)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("entry", dict(ATLAS.entries))
def test_the_script_is_one_valid_module(entry: str, tmp_path: Path) -> None:
    script = ATLAS.script(entry)
    counted = collections.Counter(names(script))
    assert [name for name, count in counted.items() if count > 1] == []
    assert not re.search(r"^import ", script, re.M)
    path = tmp_path / "bundle.mjs"
    path.write_text(script, encoding="utf-8")
    done = subprocess.run([node(), "--check", str(path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    used = {path.stem for each in dict(ATLAS.entries) for path in ATLAS.files(each)}
    assert {path.stem for path in (FOLDER / "atlas").rglob("*.js")} <= used


@pytest.mark.parametrize("logarithmic", [False, True])
def test_python_and_the_browser_have_the_same_levels(logarithmic: bool, tmp_path: Path) -> None:
    atlas = nlviz.atlas(mixed(), PLACE)
    head, arrays = unpack(atlas_payload(atlas, logarithmic=logarithmic))
    cases = []
    for number, layer in enumerate(atlas.layers):
        for n, row in enumerate(layer.maps):
            values = row.weights.ravel().astype(float)
            if row.reachable is not None:
                values = np.where(row.reachable.ravel(), values, np.nan)
            cases.append(
                {
                    "keyOf": arrays[f"keys{number}"].ravel().tolist(),
                    "values": [None if np.isnan(v) else v for v in values],
                    "uniform": row.uniform,
                    "own": row.own if row.has_own else -1,
                    "wanted": arrays[f"levels{number}"][n].ravel().tolist(),
                }
            )
    told = tmp_path / "cases.json"
    told.write_text(json.dumps({"scale": head["atlas"]["scale"], "cases": cases}), "utf-8")
    script = tmp_path / "parity.mjs"
    script.write_text(
        f"""
        import {{ readFileSync }} from "node:fs";
        import {{ fillLevels }} from "{(FOLDER / "atlas/pure/levels.js").as_uri()}";
        const {{ scale, cases }} = JSON.parse(readFileSync("{told}", "utf8"));
        for (const {{ keyOf, values, uniform, own, wanted }} of cases) {{
          const reached = values.map((v) => v ?? NaN);
          const row = {{ values: reached, uniform, own, from: 0, to: values.length }};
          const out = new Uint8Array(keyOf.length);
          fillLevels(out, Int32Array.from(keyOf), row, scale);
          out.forEach((level, i) => {{
            if (Math.abs(level - wanted[i]) > 1 || (level === 0) !== (wanted[i] === 0)) {{
              throw new Error(`${{i}}: ${{level}} ${{wanted[i]}}`);
            }}
          }});
        }}
        """,
        "utf-8",
    )
    done = subprocess.run([node(), str(script)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_bytes_hold_what_the_page_says() -> None:
    atlas = nlviz.atlas(mixed(), PLACE)
    head, arrays = unpack(
        atlas_payload(atlas, figure="pixels", smallest=True, shown=("coarse", 2), follows="explore")
    )
    told = head["atlas"]
    assert [tuple(place) for place in told["order"]] == list(atlas.ordered("pixels", smallest=True))
    assert told["shown"] == {"block": "coarse", "head": 2}
    assert told["follows"] == "explore"
    lengths = [value for layer in told["layers"] for value in layer["lengths"]]
    assert max(lengths) == 1
    assert told["layers"][2]["tips"][3].startswith("coarse, head 4: effective keys ")
    assert np.array_equal(arrays["table"], colour_table("diverging"))
    assert arrays["levels1"].min() == 0  # frames that are not reached
    with pytest.raises(nlviz.NlvizError, match="takes with_figure"):
        atlas_payload(atlas, figure="sink")
    _, beside = unpack(atlas_payload(nlviz.atlas(of_film_and_words(), (1, 12, 20))))
    assert beside["apart0"].shape == (3, 6)


def test_levels_are_monotonous() -> None:
    shares = np.linspace(-1, 1, 999, dtype=np.float32)
    found = levels(shares, signed=True).astype(int)
    assert (np.diff(found) >= 0).all()
    assert (found.min(), found.max()) == (1, 255)
