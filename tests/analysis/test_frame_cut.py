"""Frames that give each other nothing, beside as many random links of every query."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import nlviz
from nlviz.analysis.frame_cut import CutAsMany, knock_out_frames
from nlviz.captures.capture import Capture
from nlviz.captures.model import Model
from nlviz.errors import NlvizError
from nlviz.interventions import CutFrames, Rerun, Rows
from nlviz.words.knock_out import knock_out_sentence, knock_out_table
from tests.nets import CLIPS, FRAMES, clip_net, frame_net, noise_clip


@pytest.fixture(scope="module")
def capture() -> Capture:
    """A network whose block lets every query reach two frames of keys."""
    return Model(clip_net(pool=2), input_spec=CLIPS).capture(noise_clip(4, 32, 48))


def test_the_answer_is_that_of_a_block_over_each_frame_alone(capture: Capture) -> None:
    found = knock_out_frames(capture, seeds=2)
    net = clip_net(pool=2, frames_per_group=1)  # the same weights, frames as groups
    alone = Model(net, input_spec=CLIPS).logits(capture.clip)
    wanted = float((alone - capture.logits).norm() / capture.logits.norm())
    assert found.cut.logits == pytest.approx(wanted, rel=1e-3) and wanted > 1e-5
    assert found.links == "all cross-frame links of nl" and found.query == "all queries"
    table = knock_out_table(found)
    assert table[1]["Cut"] == "as many random links (2 draws)"
    assert knock_out_sentence(found).endswith("random ones.")


def test_as_many_are_drawn_and_only_what_is_reached(capture: Capture) -> None:
    affinity = capture.affinities["nl"]
    numbers, keys = torch.arange(affinity.queries.size), torch.arange(affinity.keys.size)
    rows = torch.full((1, len(numbers), len(keys)), 1 / len(keys))
    given = Rows(rows, torch.arange(1), numbers, keys, affinity)
    cut = CutAsMany(CutFrames("nl", (1,)), 3)
    found = cut.changed(given)
    share = float((found == 0).float().mean())
    assert share == pytest.approx(0.5, abs=0.03)
    assert torch.allclose(found.sum(-1), torch.ones(1, len(numbers)))
    again = cut.changed(given)
    other = CutAsMany(CutFrames("nl", (1,)), 4).changed(given)
    assert torch.equal(found, again) and not torch.equal(found, other)


def test_named_frames_are_those_of_a_rerun(capture: Capture) -> None:
    found = knock_out_frames(capture, "nl", frames=(1,), seeds=1)
    with Rerun(capture) as rerun:
        after = rerun.run(CutFrames("nl", (1,))).logits
    assert after is not None
    wanted = float((after - capture.logits).norm() / capture.logits.norm())
    assert found.cut.logits == pytest.approx(wanted, rel=1e-4)
    assert found.links == "all links to frame 1 of nl"


def test_what_has_no_such_links_is_refused(capture: Capture, tmp_path: Path) -> None:
    with pytest.raises(NlvizError, match="frames of the keys of nl are 0 to 1"):
        knock_out_frames(capture, frames=(2,))
    apart = Model(frame_net(), input_spec=FRAMES).capture(noise_clip(1, 32, 48))
    with pytest.raises(NlvizError, match="reaches another frame, so there is no link to cut"):
        knock_out_frames(apart)
    saved = nlviz.read_capture(capture.save(tmp_path / "c.nlviz"))
    with pytest.raises(NlvizError, match="saved capture holds no network"):
        knock_out_frames(saved)
