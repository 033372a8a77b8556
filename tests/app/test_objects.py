"""The panel that says how much of a row lies on detected objects."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest


def page() -> None:
    """Draw the panel for a capture with two dogs, whose block gives all its weight to one."""
    from dataclasses import replace

    import numpy as np

    from app.explore.panels import _objects
    from nlviz.affinity.attention_map import AttentionMap
    from nlviz.affinity.grid import TokenGrid
    from nlviz.clips.detections import Detection
    from tests.fixtures import make_capture, make_clip

    dogs = tuple(Detection(1, "dog", n + 1, 0.9, (0, 42 * n, 26, 42 * n + 42)) for n in (0, 1))
    shot = replace(make_capture(make_clip()), detections=dogs)
    weights = np.zeros((3, 2, 2), np.float32)
    weights[1, 0] = 0.75, 0.25
    grid = TokenGrid((3, 2, 2), (1, 26, 42), (0, 12.5, 20.5))
    _objects(shot, AttentionMap(weights, (1, 12.5, 20.5), grid))


def test_the_panel_names_the_querys_object_first() -> None:
    run = AppTest.from_function(page, default_timeout=60).run()
    assert not run.exception
    lines = [m.value.replace("\u00a0", " ") for m in run.markdown]
    assert lines == [
        "##### On what it found",
        "**75 %** &nbsp; on dog 1 (uniform: 8 %)",
        "**25 %** &nbsp; on others of dog (uniform: 8 %)",
        "**0 %** &nbsp; on background (uniform: 83 %)",
    ]
