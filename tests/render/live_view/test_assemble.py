"""A real clip in the browser's code: every source's rows and columns against torch's."""

from __future__ import annotations

from pathlib import Path

import pytest

import nlviz
from nlviz.analysis.controls import controls
from nlviz.render.live_view import pack, unpack
from nlviz.render.live_view.assemble import live_view
from nlviz.resources import asset
from tests.render.live_view.test_rows import run_node

PLACES = ((0, 20, 30), (1, 70, 100), (2, 40.5, 150), (2, 100, 5))


@pytest.mark.parametrize("block", ["stage3", "stage4"])
def test_rows_of_a_real_clip_equal_torch(block: str, tmp_path: Path) -> None:
    clip = nlviz.read_clip(asset("clips/bunny.mp4"), frames=3, size=112)
    capture = nlviz.load_model("lite-nl").capture(clip)
    affinities = controls(capture, block)
    header, arrays = unpack(live_view(capture, block, affinities=affinities))
    sections, cases = dict(arrays), []
    for key, affinity in affinities.items():
        for number, (frame, y, x) in enumerate(PLACES):
            query = affinity.queries.nearest(frame=frame, y=y, x=x)
            wanted = {f"row {number}": (query, affinity.rows([query])[:, 0].mean(0), "from")}
            if key != "nl_means":  # its columns would need every row's sum
                target = affinity.keys.nearest(frame=frame, y=y, x=x)
                wanted[f"column {number}"] = (target, affinity.column(target).mean(0), "to")
            for name, (token, values, direction) in wanted.items():
                section = f"expected.{key}.{name}"
                sections[section] = values.float().cpu().numpy()
                cases.append(
                    {
                        "name": f"{key} {name}",
                        "query": {"frame": frame, "y": y, "x": x},
                        "token": token,
                        "view": {"source": key, "direction": direction},
                        "expected": section,
                        "tolerance": 5e-3,
                    }
                )
    path = tmp_path / "real.bin"
    path.write_bytes(pack({**header, "cases": cases}, sections))
    run_node("rows.test.mjs", NLVIZ_CONTAINER=str(path))
