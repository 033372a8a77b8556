"""What an ``InputSpec`` accepts, how it is read, and what it refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from nlviz.errors import NlvizError
from nlviz.families.reading.adapter import InputSpec, prepare
from tests.nets import noise_clip

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@pytest.mark.parametrize(
    ("mean", "std", "white", "want"),
    [
        (*IMAGENET, None, lambda p: (p / 255 - IMAGENET[0][1]) / IMAGENET[1][1]),
        ((0.5,) * 3, (0.5,) * 3, None, lambda p: (p / 255 - 0.5) / 0.5),
        ((0.0,) * 3, (0.25,) * 3, None, lambda p: p / 255 / 0.25),
        ((127.0,) * 3, (128.0,) * 3, None, lambda p: (p - 127) / 128),
        ((104.0, 117.0, 123.0), (1, 1, 1), None, lambda p: p - 117),
        ((0, 0, 0), (255, 255, 255), None, lambda p: p / 255),
        ((0, 0, 0), (1, 1, 1), 255, lambda p: p),
        ((0, 0, 0), (1, 1, 1), 1, lambda p: p / 255),
        ([0.25, 0.5, 0.75], np.array([2.0, 2.0, 2.0]), 1, lambda p: (p / 255 - 0.5) / 2),
    ],
)
def test_mean_and_std_are_read_in_the_range_that_they_speak_of(
    mean: Any, std: Any, white: float | None, want: Any
) -> None:
    clip = noise_clip(2, 40, 56)
    spec = InputSpec(size=40, multiple=8, mean=mean, std=std, white=white)
    green = prepare(clip, spec).tensor[0, 1].numpy()
    np.testing.assert_allclose(green, want(clip.frames[..., 1].astype(np.float64)), atol=1e-3)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"mean": (0, 0, 0), "std": (1, 1, 1)}, "say white=255 or white=1"),
        ({"mean": IMAGENET[0]}, "not of the same pixels"),
        ({"std": IMAGENET[1]}, "not of the same pixels"),
        ({"mean": (300, 20, 20)}, "between 0 and 255"),
        ({"mean": (-1, 20, 20)}, "between 0 and 255"),
        ({"std": (58, 0, 57)}, r"std must be finite numbers above 0, got \(58, 0, 57\)"),
        ({"std": (58, -57, 57)}, "above 0"),
        ({"std": (58, float("nan"), 57)}, "finite"),
        ({"mean": (float("inf"), 1, 1)}, "finite"),
        ({"mean": (1, 2)}, "three numbers, one for each channel, got 2"),
        ({"mean": 0.5}, "three numbers"),
        ({"mean": (1, 2), "channels": "grey"}, "one number, or three"),
        ({"layout": "bgr"}, "got 'bgr'; say channels='bgr'"),
        ({"layout": "batch"}, "layout is one of clip, frames, frames first"),
        ({"channels": "rgba"}, "channels is one of rgb, bgr, grey"),
        ({"channels": "bgr", "grey": True}, "grey or bgr, not both"),
        ({"size": 0}, "size must be a whole number of at least 1, got 0"),
        ({"size": 33.5}, "size must be a whole number"),
        ({"multiple": -8}, "multiple must be"),
        ({"frames": 0}, "frames must be"),
        ({"stride": 0}, "stride must be"),
        ({"least_frames": 0}, "least_frames must be"),
        ({"sides": (224, 0)}, "a side must be"),
        ({"sides": (224,)}, "height and width"),
        ({"fps": 0}, "fps must be above 0"),
        ({"fps": float("nan")}, "fps must be above 0"),
        ({"white": 1023}, "white is 255 or 1"),
    ],
)
def test_what_cannot_be_meant_is_refused(options: dict[str, Any], told: str) -> None:
    with pytest.raises(NlvizError, match=told):
        InputSpec(**options)


def test_channels_and_layout_are_those_asked_for() -> None:
    clip = noise_clip(2, 40, 56)
    rgb = prepare(clip, InputSpec(size=40, multiple=8)).tensor
    mean, std = InputSpec().mean, InputSpec().std
    backwards = InputSpec(size=40, multiple=8, channels="bgr", mean=mean[::-1], std=std[::-1])
    torch.testing.assert_close(prepare(clip, backwards).tensor, rgb.flip(1))
    grey = prepare(clip, InputSpec(size=40, multiple=8, channels="grey")).tensor
    assert torch.equal(grey, prepare(clip, InputSpec(size=40, multiple=8, grey=True)).tensor)
    assert grey.shape == (1, 1, 2, 40, 56)
    seen: list[torch.Tensor] = []

    class Net(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> None:
            seen.append(x)

    first = prepare(clip, InputSpec(size=40, multiple=8, layout="frames first"))
    first.call(Net(), first.tensor)
    assert first.tensor.shape == rgb.shape
    assert torch.equal(seen[0], rgb.transpose(1, 2))
