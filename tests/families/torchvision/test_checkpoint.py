"""torchvision's detection files: recognised, and computing what torchvision computes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision.models.detection import (
    KeypointRCNN_ResNet50_FPN_Weights,
    keypointrcnn_resnet50_fpn,
)

from nlviz.errors import NlvizError, WeightsMismatch
from nlviz.networks.detection import keypoint_rcnn_nl
from nlviz.zoo.checkpoints import inspect_checkpoint, load_checkpoint
from nlviz.zoo.load import CARDS, file_of, load_model
from tests.nets import awake, noise_clip

pytestmark = pytest.mark.slow

KNOWN = KeypointRCNN_ResNet50_FPN_Weights.COCO_V1
NAME = KNOWN.url.rpartition("/")[2]
HEADS = [f"keypoint_head.{n}" for n in (3, 7, 11, 15)]


@pytest.fixture(scope="module")
def trained() -> nn.Module:
    """A network whose blocks change something; batch normalisation keeps its epsilon."""
    torch.manual_seed(4)
    return awake(keypoint_rcnn_nl(weights="random"))


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory, trained: nn.Module) -> Iterator[Path]:
    """A torch.hub folder with a file that is called as torchvision's and has its keys."""
    before = torch.hub.get_dir()
    folder = tmp_path_factory.mktemp("hub")
    path = folder / "checkpoints" / NAME
    path.parent.mkdir()
    state = {k: v for k, v in trained.state_dict().items() if not k.startswith("non_local")}
    torch.save(state, path)
    torch.hub.set_dir(folder)
    yield path
    torch.hub.set_dir(before)
    path.unlink()


def small(net: Any) -> Any:
    """Make a network quick: small pictures, few proposals and all detections."""
    net.transform.min_size, net.transform.max_size = (96,), 160
    net.rpn._post_nms_top_n["testing"] = 20
    net.roi_heads.score_thresh, net.roi_heads.detections_per_img = 0.0, 3
    return net


def outputs(net: nn.Module) -> list[dict[str, Tensor]]:
    frames = [torch.tensor(f).permute(2, 0, 1).float() / 255 for f in noise_clip(1, 61, 83).frames]
    with torch.no_grad():
        found: list[dict[str, Tensor]] = net(frames)
    return found


@pytest.mark.slow
def test_a_file_of_torchvision_detects_what_torchvision_detects(hub: Path) -> None:
    net, report = load_checkpoint(hub)
    assert (report.family, report.complete) == ("torchvision-detection", True)
    assert [b.name for b in report.blocks] == ["backbone.body.layer3.4", *HEADS]
    assert report.flags["exact_variance"].origin == "file name"
    assert report.trained_for == "detection; its non-local blocks are not trained"
    assert all("non_local" in key for key in report.filled)
    theirs = keypointrcnn_resnet50_fpn(weights=KNOWN, progress=False).eval()
    (mine,), (other,) = outputs(small(net)), outputs(small(theirs))
    assert len(mine["scores"]) > 0
    for key in other:
        torch.testing.assert_close(mine[key], other[key], rtol=0, atol=0)
    changed, _ = load_checkpoint(hub, exact_variance=False)
    assert not torch.equal(outputs(small(changed))[0]["scores"], other["scores"])


@pytest.mark.slow
def test_trained_blocks_are_kept(trained: nn.Module, tmp_path: Path) -> None:
    path = tmp_path / "mine.pth"
    torch.save(trained.state_dict(), path)
    net, report = load_checkpoint(path)
    assert (report.filled, report.trained_for) == ({}, "training unknown")
    assert (report.flags["pairwise"].value, report.flags["pairwise"].origin) == ("gaussian", "key")
    (mine,), (other,) = outputs(small(net)), outputs(small(trained))
    for key in other:
        torch.testing.assert_close(mine[key], other[key], rtol=0, atol=0)
    state = {k: v for k, v in trained.state_dict().items() if ".fc7." not in k}
    torch.save(state, path)
    with pytest.raises(WeightsMismatch, match=r"fc7"):
        load_checkpoint(path)
    assert inspect_checkpoint(path).missing == (
        "roi_heads.box_head.fc7.weight",
        "roi_heads.box_head.fc7.bias",
    )
    path.unlink()


@pytest.mark.slow
def test_flags_say_how_blocks_are_put_in(hub: Path) -> None:
    net, report = load_checkpoint(hub, pairwise="dot_product", across_frames=False)
    assert {b.pairwise for b in report.blocks} == {"dot_product"}
    blocks = [m for m in net.modules() if getattr(m, "place", "")]
    assert [b.dimension for b in blocks] == [2] * 5
    with pytest.raises(NlvizError, match="gaussian, embedded_gaussian or dot_product"):
        load_checkpoint(hub, pairwise="concatenation")


@pytest.mark.slow
def test_cards_take_what_torchvision_downloaded(
    hub: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("NLVIZ_CACHE", str(tmp_path))
    card = CARDS["keypoint-rcnn-nl-r50"]
    assert (card.url, card.file_name) == (KNOWN.url, NAME)
    with pytest.raises(WeightsMismatch, match="fc266e95"):
        file_of(card)  # the digest that the name carries is not the file's
    monkeypatch.setattr("nlviz.zoo.published.remembered_digest", lambda path: "fc266e95" + "0" * 56)
    assert file_of(card) == hub
    model = load_model("keypoint-rcnn-nl-r50", device="cpu")
    assert model.about.trained_for == "detection on COCO; its non-local blocks are not trained"
    small(model.net)
    model.adapter.least_score = 2.0  # type: ignore[attr-defined]
    try:
        assert list(model.capture(noise_clip(1, 61, 83)).affinities) == ["backbone.body.layer3.4"]
    finally:
        model.adapter.least_score = 0.5  # type: ignore[attr-defined]
