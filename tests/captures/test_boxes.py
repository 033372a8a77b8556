"""Captures of networks whose queries are boxes: this project's own, and a user's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchvision.ops import roi_align

import nlviz
from nlviz.affinity.token_boxes import TokenBoxes
from nlviz.captures.capture import read_capture
from nlviz.captures.model import Model
from nlviz.clips.boxes import with_boxes
from nlviz.clips.clip import Clip
from nlviz.errors import NlvizError, OutsideClip
from nlviz.networks.action_transformer import ActionTransformer, ActionTransformerHead
from nlviz.views.view import View

CLIP = Clip.from_frames(np.random.default_rng(0).integers(0, 256, (4, 61, 83, 3), np.uint8))
BOXES = [(1, 10, 20, 50, 60), (3, 0, 0, 30, 41.5)]
SPEC = nlviz.InputSpec(size=48, multiple=8)


@pytest.fixture
def model() -> Model:
    torch.manual_seed(0)
    trunk = nn.Conv3d(3, 5, (2, 8, 8), stride=(2, 8, 8))
    net = ActionTransformer(trunk, ActionTransformerHead(5, width=8, location=6, layers=2))
    return Model(net.eval(), input_spec=SPEC)


def test_rows_are_those_of_the_layers_and_lie_where_the_trunk_puts_them(model: Model) -> None:
    capture = model.capture(CLIP, boxes=BOXES)
    assert list(capture.affinities) == ["layer0", "layer1"]
    assert capture.clip.boxes == tuple(map(tuple, np.array(BOXES, float).tolist()))
    affinity = capture.affinities["layer1"]
    assert isinstance(affinity.queries, TokenBoxes) and affinity.heads == 2
    assert affinity.keys.shape == (2, 6, 8) and affinity.keys.stride[0] == 2
    assert affinity.keys.centre(0).frame == 0.5
    assert affinity.keys.centre(0).y == pytest.approx(61 / 48 * 4 - 0.5)
    assert capture.receipts["layer1"].holds
    prepared = model.prepared(with_boxes(CLIP, BOXES))
    net: Any = model.net
    with torch.no_grad():
        features = net.head.standardised(net.trunk(prepared.tensor))
        where = net.head.where(features)
        cells = net.in_cells(prepared.args[1], net.cells(prepared.tensor))[None]
        queries = net.head.queries(features, where, cells)
        queries = net.head.layers[0](queries, features, where)
        q, k, _ = net.head.layers[1].attention.embed(queries, features, where)
    wanted = (q @ k.mT / 2).softmax(-1)[0]
    assert float((affinity.dense() - wanted).abs().max()) < 1e-5
    asked = affinity.map(box=BOXES[1], head=0)
    assert np.allclose(asked.weights.ravel(), wanted[0, 1].numpy(), atol=1e-6)


def test_boxes_reach_the_network_in_its_own_pixels(model: Model) -> None:
    prepared = model.prepared(with_boxes(CLIP, [(1, 0, 0, 61, 83)]))
    assert prepared.args[1][0].tolist() == pytest.approx([1, 0, 0, 48, 64])
    back = prepared.box_in_clip((1.0, 0.0, 0.0, 48.0, 64.0))
    assert back == pytest.approx((1, 0, 0, 61, 83))


def test_without_a_box_the_middle_is_asked_about_and_said(model: Model) -> None:
    capture = model.capture(CLIP)
    queries = capture.affinities["layer0"].queries
    assert isinstance(queries, TokenBoxes)
    assert queries.boxes == ((2.0, 61 / 4, 83 / 4, 3 * 61 / 4, 3 * 83 / 4),)
    assert any("No box was given" in note for note in capture.notes)
    assert capture.logits is None and any("no class scores" in n for n in capture.notes)


@pytest.mark.parametrize(
    ("boxes", "why"),
    [
        ([(4, 0, 0, 9, 9)], "frame 0 to 3"),
        ([(0, 9, 0, 9, 9)], "bottom below top"),
        ([(0, 0, 0, 9)], "five numbers"),
        ([(0, 70, 0, 90, 9)], "within 61 rows"),
        ([(0, 0, 0, float("nan"), 9)], "finite"),
        ([], "1 to"),
    ],
)
def test_what_is_no_box_of_the_clip_is_refused(model: Model, boxes: Any, why: str) -> None:
    with pytest.raises(OutsideClip, match=why):
        model.capture(CLIP, boxes=boxes)


def test_a_network_that_takes_no_boxes_says_so() -> None:
    with pytest.raises(NlvizError, match="takes no boxes"):
        nlviz.load_model("lite-nl").capture(CLIP, boxes=BOXES)


def test_boxes_go_along_when_a_clip_is_cut_or_resized() -> None:
    clip = with_boxes(CLIP, BOXES)
    assert clip.part(1, 3).boxes == ((0.0, 10.0, 20.0, 50.0, 60.0),)
    small = clip.resized(32)
    assert small.boxes[0] == pytest.approx(
        (1, 10 * 32 / 61, 20 * small.shape[2] / 83, 50 * 32 / 61, 60 * small.shape[2] / 83)
    )


def test_a_part_without_its_attention_adds_nothing(model: Model) -> None:
    net: Any = model.net
    block = net.head.layers[0].attention
    with model.adapter.bypass(net, "layer0"):
        features, where = torch.randn(1, 5, 2, 6, 7), torch.randn(6, 2, 6, 7)
        assert float(block(torch.randn(1, 3, 8), features, where).abs().max()) == 0


def test_a_saved_capture_keeps_the_boxes(model: Model, tmp_path: Path) -> None:
    capture = model.capture(CLIP, boxes=BOXES)
    again = read_capture(capture.save(tmp_path / "boxes.nlviz"))
    assert again.clip.boxes == capture.clip.boxes
    queries = again.affinities["layer1"].queries
    assert isinstance(queries, TokenBoxes) and queries.boxes == capture.clip.boxes
    rows = (c.affinities["layer1"].map(box=1, head=1).weights for c in (capture, again))
    assert np.array_equal(*rows)
    view = View.of(again, "layer1", frame=1, y=30, x=40)
    assert View.from_json(view.to_json()).clip.boxes == capture.clip.boxes


def test_no_frame_is_said_to_be_missing(model: Model) -> None:
    assert model.capture(CLIP, boxes=BOXES).affinities["layer0"].note == ""


class Own(nn.Module):
    """A user's own: boxes pooled from their frames ask all cells, by torch's attention."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 12, 8, 8)
        self.attention = nn.MultiheadAttention(12, 3, batch_first=True)
        self.among = nn.MultiheadAttention(12, 2, batch_first=True)

    def forward(self, frames: Tensor, boxes: Tensor) -> Tensor:
        x = self.patches(frames)
        pooled = roi_align(x, boxes, 3, spatial_scale=1 / 8, aligned=True).mean((2, 3))
        cells = x.flatten(2).transpose(1, 2).reshape(1, -1, 12)
        queries = pooled[None]
        queries = queries + self.attention(queries, cells, cells)[0]
        found: Tensor = queries + self.among(queries, queries, queries)[0]
        return found


@pytest.mark.parametrize("count", [1, 3])
def test_a_users_network_that_takes_boxes(count: int) -> None:
    torch.manual_seed(1)
    net = Own().eval()
    boxes = [(1, 10, 20, 50, 60), (3, 0, 0, 30, 41), (0, 20, 10, 44, 30)][:count]

    def prepare(clip: Clip) -> tuple[Tensor, Tensor]:
        x = torch.from_numpy(clip.frames[:, :56, :80].copy()).permute(0, 3, 1, 2).float() / 255
        rois = [[f, left, top, right, bottom] for f, top, left, bottom, right in clip.boxes]
        return x, torch.tensor(rois, dtype=torch.float32)

    capture = nlviz.capture(net, CLIP, prepare=prepare, boxes=boxes)
    affinity = capture.affinities["attention"]
    assert isinstance(affinity.queries, TokenBoxes)
    assert affinity.queries.boxes[-1] == tuple(map(float, boxes[-1]))
    assert affinity.keys.shape == (4, 7, 10)
    with torch.no_grad():
        frames, rois = prepare(with_boxes(CLIP, boxes))
        x = net.patches(frames)
        queries = roi_align(x, rois, 3, spatial_scale=1 / 8, aligned=True).mean((2, 3))[None]
        cells = x.flatten(2).transpose(1, 2).reshape(1, -1, 12)
        wanted = net.attention(queries, cells, cells, average_attn_weights=False)[1][0]
    assert float((affinity.dense() - wanted).abs().max()) < 1e-5
    among = capture.affinities["among"]
    assert isinstance(among.keys, TokenBoxes) and among.dense().shape == (2, count, count)
