"""Load reports in words."""

from __future__ import annotations

import json

from nlviz.families.reading.layout import Block, Flag
from nlviz.families.reading.report import LoadReport
from nlviz.words.load_report import report_json, report_text, sections, verdict
from nlviz.zoo.checkpoints import inspect_checkpoint
from tests.families.references import I3D
from tests.families.torch_names import in_memory, state_of
from tests.families.writers.gluoncv import FIVE, NAMES


def test_a_whole_file_is_told_with_places_flags_and_origins() -> None:
    state = state_of(NAMES, places=FIVE, temporal=I3D, stem_kernel=5)
    report = inspect_checkpoint(in_memory(state, "i3d_nl5.pth", ""), scale=False)
    text = report_text(report)
    assert "behind res3: 1, 3; res4: 1, 3, 5" in text
    assert "32 frames, every 2nd, shorter side 256 px" in text
    assert "user: logits are multiplied by d^-1/2" in text
    assert text.endswith("explained.")
    found = json.loads(report_json(report))
    assert found["flags"]["scale"] == {
        "value": False,
        "origin": "user",
        "note": "logits are multiplied by d^-1/2",
    }
    assert found["blocks"][4]["name"] == "res4.5"


def test_faults_are_counted_and_listed_up_to_a_few() -> None:
    report = LoadReport(
        file="a.pth",
        container="torch zip",
        size=3 << 20,
        digest="ab" * 32,
        family="toy",
        recognised_by="its keys",
        architecture="C2D R50",
        blocks=(Block("res4.1", 8, 4, "gaussian"),),
        flags={"pool2": Flag(None, "preset")},
        matched=4,
        missing=tuple(f"m{i}" for i in range(11)),
        misshapen=("w is (2, 3), needs (3, 2)",),
        dropped={"a": "copy", "b": "copy"},
    )
    assert verdict(report).startswith("Not complete: 11 missing, 1 of another shape")
    by_title = {part.title: part for part in sections(report)}
    assert by_title["Missing"].bad
    assert by_title["Missing"].rows[-1][1] == "and 3 more"
    assert by_title["Dropped"].rows == (("2", "a, ...", "copy"),)
    assert by_title["How it is computed"].rows[0] == ("pool2", "none", "preset")
    assert "3.0 MiB" in report_text(report)
    assert len(json.loads(report_json(report))["missing"]) == 11
