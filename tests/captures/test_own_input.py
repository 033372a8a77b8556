"""Inputs that a user's own function makes, and where their pixels lie in the clip."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import nlviz
from nlviz import Clip, InputSpec, NonLocalBlock
from nlviz.captures.own_input import own_input
from nlviz.errors import NlvizError
from tests.nets import noise_clip

T, H, W = 5, 46, 70


def frames(clip: Clip) -> Tensor:
    """Return (T, 3, H, W) in [0, 1]."""
    return torch.tensor(clip.frames).permute(0, 3, 1, 2).float() / 255


def resized(x: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(x, size=size, mode="bilinear", align_corners=False)


def letterboxed(clip: Clip) -> Tensor:
    return F.pad(resized(frames(clip), (23, 35)), (0, 0, 6, 6))


def flow(clip: Clip) -> Tensor:
    """Return (1, 2 (T - 1), H, W): no value of it says where it lies."""
    x = frames(clip).mean(1)
    return (x[1:] - x[:-1]).repeat(2, 1, 1)[None]


# name: function, where pixel 0 lies (frame, y, x) and the distance of the next
MAKERS: dict[str, tuple[Callable[[Clip], Any], tuple[float, ...], tuple[float, ...]]] = {
    "as it is": (frames, (0, 0, 0), (1, 1, 1)),
    "uint8": (lambda c: torch.tensor(c.frames).permute(0, 3, 1, 2), (0, 0, 0), (1, 1, 1)),
    "clip": (lambda c: frames(c).transpose(0, 1)[None], (0, 0, 0), (1, 1, 1)),
    "frames first": (lambda c: frames(c)[None], (0, 0, 0), (1, 1, 1)),
    "channels last": (lambda c: torch.tensor(c.frames)[None].float(), (0, 0, 0), (1, 1, 1)),
    "half": (lambda c: resized(frames(c), (H // 2, W // 2)), (0, 0.5, 0.5), (1, 2, 2)),
    "crop": (lambda c: frames(c)[:, :, 3:43, 10:61], (0, 3, 10), (1, 1, 1)),
    "crop of a half": (
        lambda c: resized(frames(c)[:, :, 4:36, 9:57], (16, 24)), (0, 4.5, 9.5), (1, 2, 2)
    ),
    "letterbox": (letterboxed, (0, 0.5 - 12, 0.5), (1, 2, 2)),
    "every second frame": (lambda c: frames(c)[1::2].transpose(0, 1)[None], (1, 0, 0), (2, 1, 1)),
    "normalised, BGR": (lambda c: (frames(c).flip(1) - 0.4) / 0.2, (0, 0, 0), (1, 1, 1)),
    "grey": (lambda c: frames(c).mean(1, keepdim=True), (0, 0, 0), (1, 1, 1)),
    "4 channels": (lambda c: F.pad(frames(c), (0, 0, 0, 0, 0, 1)), (0, 0, 0), (1, 1, 1)),
    "two frames as channels": (
        lambda c: frames(c)[[1, 3]].flatten(0, 1)[None], (2, 0, 0), (5, 1, 1)
    ),
    "keywords": (lambda c: {"pixels": frames(c), "mask": torch.ones(T)}, (0, 0, 0), (1, 1, 1)),
    "arguments": (lambda c: (torch.ones(T), frames(c)), (0, 0, 0), (1, 1, 1)),
    "pathways": (
        lambda c: [frames(c)[::2].transpose(0, 1)[None], frames(c).transpose(0, 1)[None]],
        (0, 0, 0), (1, 1, 1),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MAKERS)
def test_places_of_pixels_are_measured(name: str) -> None:
    make, origin, stride = MAKERS[name]
    known: dict[Any, Any] = {}
    found = own_input(make, noise_clip(T, H, W), known)
    axes = (found.t, found.y, found.x)
    for axis, o, s, room in zip(axes, origin, stride, (0.01, 0.15, 0.15), strict=True):
        assert axis.origin == pytest.approx(o, abs=room)
        assert axis.stride == pytest.approx(s, rel=0.02)
    calls: list[Any] = []
    again = own_input(lambda c: calls.append(c) or make(c), noise_clip(T, H, W, seed=1), known)
    assert len(calls) == 1  # measured once for clips of a shape
    assert (again.t, again.y, again.x) == axes


def test_the_network_gets_what_was_made() -> None:
    seen: list[Any] = []

    class Net(nn.Module):
        def forward(self, *args: Any, **kwargs: Any) -> None:
            seen.append((args, kwargs))

    clip = noise_clip(T, H, W)
    for name, (make, _, _) in MAKERS.items():
        found = own_input(make, clip, {})
        found.call(Net(), found.tensor)
        args, kwargs = seen.pop()
        want = make(clip)
        got: Any = kwargs or (args if isinstance(want, tuple) else args[0])
        if isinstance(want, Tensor):
            assert torch.equal(got, want), name
        elif isinstance(want, dict):
            assert got.keys() == want.keys()
            assert all(torch.equal(got[k], want[k]) for k in want)
        else:
            assert type(got) is type(want)
            assert all(torch.equal(a, b) for a, b in zip(got, want, strict=True))


def test_what_is_seen_of_the_clip_is_said() -> None:
    crop = own_input(MAKERS["crop"][0], noise_clip(T, H, W), {})
    assert crop.notes == (
        "prepare= shows the network rows 3 to 43 of 46 and columns 10 to 61 of 70 of the clip "
        "alone.",
    )
    assert own_input(frames, noise_clip(T, H, W), {}).notes == ()
    assert "could not be measured" in own_input(flow, noise_clip(T, H, W), {}).notes[0]
    pathways = own_input(MAKERS["pathways"][0], noise_clip(T, H, W), {})
    assert "2 pictures" in pathways.notes[0]


@pytest.mark.parametrize("made", [None, "x", torch.zeros(3, 4), {"ids": torch.zeros(1, 9)}])
def test_what_no_network_takes_is_refused(made: Any) -> None:
    with pytest.raises(NlvizError, match="prepare= must return what the network takes"):
        own_input(lambda clip: made, noise_clip(2, 20, 30), {})


def test_a_mirrored_input_is_refused() -> None:
    with pytest.raises(NlvizError, match="mirrors"):
        own_input(lambda clip: frames(clip).flip(-1), noise_clip(2, 20, 30), {})


class Masked(nn.Module):
    """Takes pictures of 4 channels by keyword, and a mask."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.nl = nn.Conv2d(4, 6, 4, 4), NonLocalBlock(6, dimension=2)
        self.head = nn.Linear(6, 5)

    def forward(self, *, pixels: Tensor, mask: Tensor) -> dict[str, Tensor]:
        y = self.nl(self.conv(pixels) * mask[:, None, None, None])
        return {"logits": self.head(y.mean((2, 3)))}


def test_a_capture_of_a_network_with_an_input_of_its_own() -> None:
    def make(clip: Clip) -> dict[str, Tensor]:
        x = F.pad(frames(clip)[:, :, 2:42, 6:62], (0, 0, 0, 0, 0, 1))
        return {"pixels": x, "mask": torch.ones(len(x))}

    clip, net = noise_clip(2, H, W), Masked().eval()
    model = nlviz.Model(net, prepare=make)
    shot = model.capture(clip)
    grid = shot.affinities["nl"].queries
    assert grid.shape == (2, 10, 14)
    assert grid.origin == pytest.approx((0, 2 + 1.5, 6 + 1.5), abs=0.1)
    assert grid.stride == pytest.approx((1, 4, 4), rel=0.01)
    with torch.no_grad():
        torch.testing.assert_close(shot.logits, net(**make(clip))["logits"].mean(0))
    for method in ("grad-cam", "integrated-gradients", "occlusion"):
        found = nlviz.attribution(model, shot, method=method, steps=2)
        assert np.isfinite(found.values).all()
    again = nlviz.capture(net, clip, prepare=make)
    assert torch.equal(again.affinities["nl"].theta, shot.affinities["nl"].theta)


@pytest.mark.parametrize("channels", [1, 2, 4, 6])
def test_other_numbers_of_channels_are_taken_or_told(channels: int) -> None:
    net = nn.Sequential(nn.Conv2d(channels, 6, 4, 4), NonLocalBlock(6, dimension=2)).eval()
    clip, spec = noise_clip(2, 32, 48), InputSpec(size=32, multiple=8, layout="frames")
    if channels == 1:
        notes = nlviz.capture(net, clip, input_spec=spec).notes
        assert any("luminance" in note for note in notes)
        return
    told = f"convolution, 0, takes {channels} channels, it was given 3 of colour; make its input"
    with pytest.raises(NlvizError, match=told):
        nlviz.capture(net, clip, input_spec=spec)
    with pytest.raises(NlvizError, match=r"takes .* it was given 3; prepare= made a picture"):
        nlviz.capture(net, clip, prepare=frames)


def test_channels_asked_for_and_not_taken_are_told() -> None:
    clip = noise_clip(2, 32, 48)
    for takes, asked in ((1, "bgr"), (3, "grey")):
        net = nn.Sequential(nn.Conv2d(takes, 6, 4, 4), NonLocalBlock(6, dimension=2)).eval()
        spec = InputSpec(size=32, multiple=8, layout="frames", channels=asked)
        cure = "grey" if takes == 1 else "rgb"
        with pytest.raises(NlvizError, match=f"say InputSpec.channels='{cure}'"):
            nlviz.capture(net, clip, input_spec=spec)


class FramesFirst(nn.Module):
    """Takes (1, T, 3, H, W), and normalises by itself."""

    def __init__(self, folded: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.folded = folded
        kernel = (4, 4) if folded else (1, 4, 4)
        self.conv = (nn.Conv2d if folded else nn.Conv3d)(3, 6, kernel, kernel)
        self.nl = NonLocalBlock(6, dimension=2 if folded else 3)

    def forward(self, x: Tensor) -> Tensor:
        x = (x * 3 - 0.5) / 0.25
        return self.nl(self.conv(x.flatten(0, 1) if self.folded else x.transpose(1, 2)))


@pytest.mark.parametrize("folded", [False, True])
@pytest.mark.parametrize("count", [2, 3])
def test_frames_in_the_place_of_colours_are_told(folded: bool, count: int) -> None:
    clip, net = noise_clip(count, 32, 48), FramesFirst(folded).eval()
    with pytest.raises(NlvizError, match=r"InputSpec.layout='frames first'"):
        nlviz.capture(net, clip, input_spec=InputSpec(size=32, multiple=8))
    spec = InputSpec(size=32, multiple=8, layout="frames first")
    found = nlviz.capture(net, clip, input_spec=spec).affinities["nl"].queries
    assert (found.shape, found.stride) == ((count, 8, 12), (1, 4, 4))


class Fixed(nn.Module):
    """Takes pictures of 40 x 40 px alone."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.nl = nn.Conv2d(3, 6, 4, 4), NonLocalBlock(6, dimension=2)
        self.head = nn.Linear(600, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.nl(self.conv(x)).flatten(1))


def test_an_input_that_a_network_does_not_take_is_told_with_its_error() -> None:
    clip, net = noise_clip(2, 32, 48), Fixed().eval()
    with pytest.raises(NlvizError, match=r"a tensor \(2, 3, 64, 96\).*RuntimeError.*prepare="):
        nlviz.capture(net, clip, input_spec=InputSpec(size=64, layout="frames"))
    spec = InputSpec(sides=(40, 40), layout="frames")
    assert nlviz.capture(net, clip, input_spec=spec).logits.shape == (5,)


def test_a_users_hooks_see_the_pass_alone() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 8, 4, 4), nlviz.NonLocalBlock(8, dimension=2)).eval()
    seen: list[torch.Tensor] = []
    net[0].register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    clip = nlviz.Clip.from_frames(np.zeros((1, 64, 96, 3), np.uint8))
    capture = nlviz.capture(net, clip, input_spec=nlviz.InputSpec(size=64, layout="frames"))
    assert [type(one) for one in seen] == [torch.Tensor]
    assert capture.affinities["1"].queries.stride == (1, 4, 4)
    assert len(net[0]._forward_pre_hooks) == 1


def test_a_users_hook_that_changes_what_passes_is_part_of_the_network() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 8, 4, 4), nlviz.NonLocalBlock(8, dimension=2)).eval()
    clip = nlviz.Clip.from_frames(np.zeros((1, 64, 96, 3), np.uint8))
    spec = nlviz.InputSpec(size=64, layout="frames")
    assert nlviz.capture(net, clip, input_spec=spec).affinities["1"].queries.shape == (1, 16, 24)
    handle = net[0].register_forward_hook(lambda module, args, out: out[..., 2:, ::2])
    found = nlviz.capture(net, clip, input_spec=spec).affinities["1"].queries
    assert (found.shape, found.stride, found.origin) == ((1, 14, 12), (1, 4, 8), (0, 9.5, 1.5))
    handle.remove()
    assert nlviz.capture(net, clip, input_spec=spec).affinities["1"].queries.shape == (1, 16, 24)
