"""Blocks in torchvision's detection networks: what they detect, and where their cells lie."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.detection import (
    KeypointRCNN,
    MaskRCNN_ResNet50_FPN_Weights,
    maskrcnn_resnet50_fpn,
)
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.ops.misc import FrozenBatchNorm2d

from nlviz.analysis.opening_query import opening_query
from nlviz.captures.model import Capture, Model
from nlviz.clips.clip import Clip
from nlviz.errors import DownloadFailed, NlvizError
from nlviz.families import adapter_for, family_of
from nlviz.families.torchvision.detection import DetectionAdapter
from nlviz.networks.block import NonLocalBlock
from nlviz.networks.detection import (
    HEAD,
    LAST_BUT_ONE,
    detection_network,
    keypoint_rcnn_nl,
    mask_rcnn_nl,
)
from tests.nets import awake, noise_clip

pytestmark = pytest.mark.slow

SMALL: dict[str, Any] = {
    "min_size": 96,
    "max_size": 170,
    "box_score_thresh": 0.0,
    "box_detections_per_img": 3,
    "rpn_post_nms_top_n_test": 20,
}
EVERYTHING = DetectionAdapter(least_score=0.0)


@pytest.fixture(scope="module")
def keypoints() -> nn.Module:
    """A Keypoint R-CNN with random weights and five fresh blocks; the tests leave it as it is."""
    torch.manual_seed(1)
    return keypoint_rcnn_nl(weights="random", **SMALL)


@pytest.fixture(scope="module")
def waking() -> nn.Module:
    """The same with blocks that change what goes through them, each frame on its own."""
    torch.manual_seed(1)
    return awake(keypoint_rcnn_nl(weights="random", across_frames=False, **SMALL))


@pytest.fixture(scope="module")
def shot(waking: nn.Module) -> Capture:
    """Three frames of an odd size through the network whose frames are on their own."""
    return Model(waking, adapter=EVERYTHING).capture(noise_clip(3, 75, 101))


def outputs(net: nn.Module, clip: Clip) -> list[dict[str, Tensor]]:
    frames = [torch.tensor(f).permute(2, 0, 1).float() / 255 for f in clip.frames]
    with torch.no_grad():
        found: list[dict[str, Tensor]] = net(frames)
    return found


def assert_same(a: list[dict[str, Tensor]], b: list[dict[str, Tensor]]) -> None:
    assert len(a) == len(b)
    assert sum(len(r["scores"]) for r in a) > 0
    for mine, theirs in zip(a, b, strict=True):
        assert mine.keys() == theirs.keys()
        for key in mine:
            torch.testing.assert_close(mine[key], theirs[key], rtol=0, atol=0)


@pytest.mark.slow
def test_a_fresh_block_changes_no_detection(keypoints: nn.Module) -> None:
    torch.manual_seed(1)
    backbone = resnet_fpn_backbone(
        backbone_name="resnet50", weights=None, norm_layer=FrozenBatchNorm2d, trainable_layers=5
    )
    plain = KeypointRCNN(backbone, num_classes=2, **SMALL).eval()
    state = keypoints.state_dict()
    added = state.keys() - plain.state_dict().keys()
    assert plain.state_dict().keys() <= state.keys()
    assert {name.split(".")[0] for name in added} == {
        "non_local_" + layer.replace(".", "_") for layer in (LAST_BUT_ONE, *HEAD)
    }
    plain.load_state_dict({k: v for k, v in state.items() if k not in added})
    clip = noise_clip(2, 75, 101)
    assert_same(outputs(keypoints, clip), outputs(plain, clip))


@pytest.mark.slow
def test_coco_weights_are_read_from_torch_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keypoints: nn.Module
) -> None:
    monkeypatch.setenv("NLVIZ_OFFLINE", "1")
    hub = torch.hub.get_dir()
    known = MaskRCNN_ResNet50_FPN_Weights.COCO_V1
    path = tmp_path / "checkpoints" / known.url.rpartition("/")[2]
    torch.hub.set_dir(tmp_path)
    try:
        with pytest.raises(DownloadFailed) as told:
            mask_rcnn_nl()
        assert known.url in str(told.value)
        assert str(path) in str(told.value)
        path.parent.mkdir()
        torch.manual_seed(2)
        state = mask_rcnn_nl(weights="random").state_dict()
        torch.save({k: v for k, v in state.items() if not k.startswith("non_local")}, path)
        mine = mask_rcnn_nl(**SMALL)
        theirs = maskrcnn_resnet50_fpn(weights=known, progress=False, **SMALL).eval()
    finally:
        torch.hub.set_dir(hub)
        path.unlink(missing_ok=True)
    clip = noise_clip(1, 61, 83)
    assert_same(outputs(mine, clip), outputs(theirs, clip))
    found = Model(mine, adapter=EVERYTHING).capture(clip).detections
    result = outputs(theirs, clip)[0]
    assert len(found) == len(result["scores"]) > 0
    names = known.meta["categories"]
    for detection, rank in zip(found, range(len(found)), strict=True):
        left, top, right, bottom = result["boxes"][rank].tolist()
        assert detection.box == (top, left, bottom, right)
        assert detection.label == names[int(result["labels"][rank])]
        assert detection.score == float(result["scores"][rank])
        assert detection.mask is not None
        assert (detection.mask == (result["masks"][rank, 0] >= 0.5).numpy()).all()


def test_weights_have_two_names() -> None:
    with pytest.raises(NlvizError, match="'coco' or 'random', got 'imagenet'"):
        mask_rcnn_nl(weights="imagenet")  # type: ignore[arg-type]


def test_the_family_takes_detection_networks_and_names_their_blocks(keypoints: nn.Module) -> None:
    adapter = adapter_for(keypoints)
    assert family_of(keypoints).name == "torchvision-detection"
    heads = [layer.removeprefix("roi_heads.") for layer in HEAD]
    assert list(adapter.blocks(keypoints)) == [LAST_BUT_ONE, *heads]
    assert adapter.blocks(nn.Sequential(NonLocalBlock(3))) == {}


@pytest.mark.parametrize("size", [(75, 101), (101, 75), (48, 131), (96, 160), (33, 40)])
def test_cells_lie_where_the_resized_frame_has_them(
    keypoints: nn.Module, size: tuple[int, int]
) -> None:
    height, width = size
    ramps = np.mgrid[:height, :width].astype(np.float32)
    transform: Any = keypoints.transform
    flat = torch.from_numpy(np.stack([*ramps, ramps[0]]))
    mean = torch.tensor(transform.image_mean)[:, None, None]
    std = torch.tensor(transform.image_std)[:, None, None]
    images, _ = transform([flat])
    places = images.tensors[0] * std + mean  # of every pixel of the resized frame, then zeros
    capture = Model(keypoints, adapter=EVERYTHING).capture(noise_clip(1, height, width))
    grid = capture.affinities[LAST_BUT_ONE].queries
    (_, h, w), (real_h, real_w) = grid.shape, images.image_sizes[0]
    assert 16 * (h - 1) < real_h <= 16 * h
    assert 16 * (w - 1) < real_w <= 16 * w
    full = images.tensors.shape[-2] // 16 * (images.tensors.shape[-1] // 16)
    assert grid.prefix == full - h * w
    for b in range(1, h):
        for c in range(1, w):
            _, y, x = grid.centre(b * w + c)
            if 16 * b < real_h - 1 and 16 * c < real_w - 1:  # beyond it edges are repeated
                at = places[:2, 16 * b, 16 * c].tolist()
                assert (y, x) == pytest.approx(at, abs=2e-3)


@pytest.mark.slow
@pytest.mark.parametrize("across_frames", [True, False])
@pytest.mark.parametrize("pool", [1, 2])
def test_rows_are_those_of_the_padded_grid(across_frames: bool, pool: int) -> None:
    torch.manual_seed(3)
    net = keypoint_rcnn_nl(weights="random", across_frames=across_frames, **SMALL)
    (block,) = [m for m in net.modules() if getattr(m, "place", "") == LAST_BUT_ONE]
    assert isinstance(block, NonLocalBlock)
    block.pool = pool
    entered: list[Tensor] = []
    handle = block.register_forward_hook(lambda module, args, output: entered.append(args[0]))
    clip = noise_clip(2, 75, 101)
    affinity = Model(net, adapter=EVERYTHING).capture(clip).affinities[LAST_BUT_ONE]
    handle.remove()
    x = entered[0][0] if across_frames else entered[0].transpose(0, 1)  # (C, T, 6, 10)
    t, full_h, full_w = x.shape[1:]
    assert (t, full_h, full_w) == (2, 6, 10)
    h, w = 6, 9  # 75 x 101 becomes 96 x 129 inside 96 x 160
    keyed = F.max_pool2d(x.transpose(0, 1), pool).transpose(0, 1)
    theta, phi = (F.normalize(e.flatten(1).mT, dim=-1) for e in (x, keyed))
    logits = theta @ phi.mT * float(torch.as_tensor(block.logit_scale()).detach())
    if not across_frames:
        frame = torch.arange(len(theta)) // (full_h * full_w)
        of_key = torch.arange(len(phi)) // (keyed.shape[2] * keyed.shape[3])
        logits = logits.masked_fill(frame[:, None] != of_key[None], -torch.inf)
    dense = logits.softmax(-1).reshape(t, full_h, full_w, t, *keyed.shape[2:])
    on_grid = dense[:, :h, :w, :, : h // pool, : w // pool]
    rows = affinity.rows(range(affinity.queries.size))[0]
    assert affinity.queries.shape == (t, h, w)
    assert affinity.keys.shape == (t, h // pool, w // pool)
    prefix = affinity.keys.prefix
    assert rows.shape[1] == len(phi)
    torch.testing.assert_close(
        rows[:, prefix:].reshape(on_grid.shape), on_grid, rtol=1e-4, atol=1e-6
    )
    padding = dense[:, :h, :w].sum((3, 4, 5)) - on_grid.sum((3, 4, 5))
    torch.testing.assert_close(rows[:, :prefix].sum(1).reshape(t, h, w), padding, atol=1e-5, rtol=0)
    assert float(padding.min()) > 0
    assert affinity.map(frame=1, y=30, x=40).off_grid > 0
    error = affinity.parity_error()
    assert error is not None
    assert error < 1e-5


@pytest.mark.slow
def test_features_lie_on_the_grid_of_the_queries(shot: Capture) -> None:
    for name, affinity in shot.affinities.items():
        assert shot.features[name].shape[1:] == affinity.queries.shape


def test_blocks_of_the_head_have_an_affinity_for_each_person(
    waking: nn.Module, shot: Capture
) -> None:
    persons = [d.name for d in shot.detections]
    assert persons == [f"person {n}" for n in range(1, 10)]
    best = sorted(shot.detections, key=lambda d: -d.score)[:8]
    layers = [layer.removeprefix("roi_heads.") for layer in HEAD]
    assert set(shot.affinities) == {
        LAST_BUT_ONE,
        *(f"{layer} · {d.name}" for layer in layers for d in best),
    }
    detection = best[0]
    assert Model(waking, adapter=DetectionAdapter(least_score=0.0, most_objects=2)).capture(
        noise_clip(3, 75, 101)
    ).affinities.keys() == {
        LAST_BUT_ONE,
        *(f"{layer} · {d.name}" for layer in layers for d in best[:2]),
    }
    affinity = shot.affinities[f"{layers[1]} · {detection.name}"]
    assert affinity.queries.shape == (1, 14, 14)
    assert affinity.queries.centre(0)[0] == detection.frame
    rows = affinity.rows(range(196))[0]
    x = shot.features[affinity.name][:, 0].flatten(1).mT  # (196, 512)
    # 2.3 is the logarithm of a fresh block's temperature
    unit = F.normalize(x, dim=-1)
    want = (unit @ unit.mT * math.exp(2.3)).softmax(-1)
    torch.testing.assert_close(rows, want, rtol=1e-4, atol=1e-6)


def test_a_persons_cells_lie_where_its_features_were_pooled(waking: nn.Module) -> None:
    heads: Any = waking.roi_heads
    seen: list[tuple[Any, ...]] = []
    handle = heads.keypoint_roi_pool.register_forward_hook(
        lambda module, args, output: seen.append(args)
    )
    capture = Model(waking, adapter=EVERYTHING).capture(noise_clip(2, 75, 101))
    handle.remove()
    features, boxes, sizes = seen[0]
    (real_h, real_w), f = sizes[0], 2
    # Feature maps that hold the place of every cell, in pixels of the resized frame.
    ramps = {}
    for level, (name, x) in enumerate(features.items()):
        stride = 4 << level
        y = (torch.arange(x.shape[-2]) * float(stride))[:, None].expand(x.shape[-2:])
        z = (torch.arange(x.shape[-1]) * float(stride))[None].expand(x.shape[-2:])
        ramps[name] = torch.stack([y, z])[None].expand(f, 2, *x.shape[-2:]).contiguous()
    pooled = heads.keypoint_roi_pool(ramps, boxes, sizes)  # (persons, 2, 14, 14)
    compared = 0
    for row, detection in enumerate(capture.detections):
        name = f"keypoint_head.3 · {detection.name}"
        grid = capture.affinities[name].queries
        for index in (15, 97, 180):
            frame, y, x = grid.centre(index)
            b, c = divmod(index, 14)
            want_y = (float(pooled[row, 0, b, c]) + 0.5) * 75 / real_h - 0.5
            want_x = (float(pooled[row, 1, b, c]) + 0.5) * 101 / real_w - 0.5
            assert frame == detection.frame
            # Samples beyond a map's last cell repeat it, so such places tell nothing.
            if max(y * real_h / 75 + 33, 0) < 96 and max(x * real_w / 101 + 33, 0) < 160:
                assert (y, x) == pytest.approx((want_y, want_x), abs=1e-2)
                compared += 1
    assert compared > 3


@pytest.mark.slow
def test_uncertain_detections_are_left_out(keypoints: nn.Module) -> None:
    clip = noise_clip(1, 75, 101)
    scores = outputs(keypoints, clip)[0]["scores"]
    least = float(scores[1])
    capture = Model(keypoints, adapter=DetectionAdapter(least_score=least)).capture(clip)
    assert [d.score for d in capture.detections] == scores[:2].tolist()
    nobody = Model(keypoints, adapter=DetectionAdapter(least_score=1.1)).capture(clip)
    assert nobody.detections == ()
    assert list(nobody.affinities) == [LAST_BUT_ONE]
    two = DetectionAdapter(least_score=0.0, most_detections=2)
    assert len(Model(keypoints, adapter=two).capture(clip).detections) == 2


def test_an_image_without_proposals_has_no_person(keypoints: nn.Module) -> None:
    heads: Any = keypoints.roi_heads
    before, heads.score_thresh = heads.score_thresh, 2.0
    try:
        capture = Model(keypoints, adapter=EVERYTHING).capture(noise_clip(1, 64, 64))
    finally:
        heads.score_thresh = before
    assert (capture.detections, list(capture.affinities)) == ((), [LAST_BUT_ONE])
    assert capture.affinities[LAST_BUT_ONE].queries.prefix == 0  # 96 x 96 needs no padding


def test_a_block_is_bypassed_for_all_persons(waking: nn.Module) -> None:
    clip = noise_clip(1, 75, 101)
    adapter = DetectionAdapter()
    with_blocks = outputs(waking, clip)
    with adapter.bypass(waking, "keypoint_head.7 · person 2"):
        without = outputs(waking, clip)
    assert not torch.equal(with_blocks[0]["keypoints_scores"], without[0]["keypoints_scores"])
    torch.testing.assert_close(with_blocks[0]["boxes"], without[0]["boxes"])


def test_a_persons_block_opens_on_its_frame(shot: Capture) -> None:
    frames = {d.name: d.frame for d in shot.detections}
    opened = set()
    for name, affinity in shot.affinities.items():
        person = name.partition(" · ")[2]
        if person and name.startswith("keypoint_head.3 "):
            (frame, y, x), _ = opening_query(shot.clip, affinity)
            assert frame == frames[person]
            shot.clip.check(frame=frame, y=y, x=x)
            opened.add(frame)
    assert opened == {0, 1, 2}


def test_classes_of_another_data_set_have_numbers() -> None:
    torch.manual_seed(5)
    net = detection_network("mask", classes=7, **SMALL)
    found = Model(net, adapter=EVERYTHING).capture(noise_clip(1, 48, 64)).detections
    assert {d.label for d in found} <= {f"class {n}" for n in range(1, 7)}
    assert found
