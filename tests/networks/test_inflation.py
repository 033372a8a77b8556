"""Weights of networks for pictures in video networks, from states, files and by name."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torchvision.models import ResNet18_Weights, resnet18, resnet34

from nlviz.errors import DownloadFailed, NlvizError, WeightsMismatch
from nlviz.networks.inflation import from_torchvision, inflated
from nlviz.networks.presets import c2d, tsm
from nlviz.networks.video_resnet import NonLocalSpec, VideoResNet, VideoResNetSpec
from tests.networks.drawing import drawn, noise, relative

SPEC = VideoResNetSpec(
    depth=18,
    stem_kernel=5,
    temporal={2: (3, 3)},
    non_local={(3, 1): NonLocalSpec()},
    classes=1000,
)


@pytest.fixture
def hub(tmp_path: Path) -> Path:
    """A cache of torch.hub's of its own; returns where its files lie."""
    before = torch.hub.get_dir()
    torch.hub.set_dir(str(tmp_path))
    yield tmp_path / "checkpoints"
    torch.hub.set_dir(before)


def test_kernels_are_repeated_and_divided_and_the_rest_is_copied() -> None:
    state = drawn(resnet18()).state_dict()
    found = inflated(state, SPEC)
    assert set(found) == {k for k in VideoResNet(SPEC).state_dict() if ".nl." not in k}
    kernel = found["stem.conv.weight"]
    assert kernel.shape == (64, 3, 5, 7, 7)
    for i in range(5):
        assert torch.allclose(kernel[:, :, i] * 5, state["conv1.weight"])
    assert found["res2.1.a.weight"].shape == (64, 64, 3, 3, 3)
    assert torch.allclose(
        found["res2.1.a.weight"].sum(2), state["layer1.1.conv1.weight"], atol=1e-6
    )
    assert torch.equal(found["res2.1.b.weight"][:, :, 0], state["layer1.1.conv2.weight"])
    assert torch.equal(
        found["res4.0.shortcut_bn.running_var"], state["layer3.0.downsample.1.running_var"]
    )
    assert torch.equal(found["head.bias"], state["fc.bias"])
    assert "head.bias" not in inflated(state, VideoResNetSpec(depth=18, classes=7))
    with pytest.raises(WeightsMismatch, match="18 layers"):
        inflated(resnet34().state_dict(), SPEC)
    with pytest.raises(WeightsMismatch, match=r"stem\.conv\.weight needs"):
        inflated({**state, "conv1.weight": noise(64, 1, 7, 7)}, SPEC)


@torch.no_grad()
def test_a_still_clip_gives_the_pictures_answer() -> None:
    theirs = drawn(resnet18())
    picture = noise(2, 3, 50, 66)
    want = theirs(picture)
    for spec in (c2d(18, classes=1000), c2d(18, frames=32, places=((4, 0),), classes=1000)):
        ours = from_torchvision(spec, theirs.state_dict())
        assert not ours.training
        found = ours(picture[:, :, None].expand(-1, -1, 11, -1, -1))
        assert relative(found, want) < 1e-5
    shifted = from_torchvision(tsm(18, classes=1000), theirs.state_dict())
    assert relative(shifted(picture[:, :, None].expand(-1, -1, 4, -1, -1)), want) > 1e-3


def test_weights_in_torch_hubs_cache_are_used(hub: Path) -> None:
    hub.mkdir()
    state = drawn(resnet18()).state_dict()
    torch.save(state, hub / Path(ResNet18_Weights.IMAGENET1K_V1.url).name)
    for weights in ("DEFAULT", "IMAGENET1K_V1", ResNet18_Weights.IMAGENET1K_V1):
        net = from_torchvision(c2d(18, classes=1000), weights)
        assert torch.equal(net.stem.conv.weight[:, :, 0], state["conv1.weight"])


def test_weights_that_are_not_to_be_had_are_told(
    hub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NLVIZ_OFFLINE", "1")
    with pytest.raises(DownloadFailed, match=r"resnet18-\w+\.pth could not be had: NLVIZ_OFFLINE"):
        from_torchvision(c2d(18))
    monkeypatch.setenv("NLVIZ_OFFLINE", "0")

    def refused(*args: object, **kwargs: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr("torch.hub.urlopen", refused)
    with pytest.raises(DownloadFailed, match=r"no route to host.* put it at .*checkpoints"):
        from_torchvision(c2d(18))
    with pytest.raises(NlvizError, match=r"IMAGENET1K_V1.*got 'V9'"):
        from_torchvision(c2d(18), "V9")
