"""What many tests read and none changes: a small clip, its capture, the bundled network.

Every size of the capture is another number: 3 frames of 52 x 84, keys pooled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch import nn

import nlviz
from nlviz.captures.model import About, Capture, Model
from nlviz.clips.clip import Clip
from nlviz.families.reading.adapter import InputSpec

if TYPE_CHECKING:
    from nlviz.surveys.survey import Survey

BLOCK = "1"


def make_clip(frames: int = 3, height: int = 52, width: int = 84, name: str = "noise.mp4") -> Clip:
    rng = np.random.default_rng(frames)
    coarse = rng.integers(30, 226, (frames, 4, 7, 3), dtype=np.uint8)
    big = coarse.repeat(-(-height // 4), 1).repeat(-(-width // 7), 2)[:, :height, :width]
    return Clip.from_frames(np.ascontiguousarray(big), fps=4.0, name=name)


def make_capture(clip: Clip, **options: Any) -> Capture:
    torch.manual_seed(5)
    net = nn.Sequential(nn.Conv2d(3, 6, 3, stride=4, padding=1), nn.ReLU())
    options = {"pairwise": "embedded_gaussian", "scale": True, **options}
    nlviz.insert(net, after=BLOCK, **options)
    net.eval()
    about = About("tiny", "not trained", "ab" * 32)
    return Model(net, about=about, input_spec=InputSpec(size=48, layout="frames")).capture(clip)


@pytest.fixture(scope="session")
def clip() -> Clip:
    return make_clip()


@pytest.fixture(scope="session")
def capture(clip: Clip) -> Capture:
    return make_capture(clip, pool=2)


@pytest.fixture(scope="session")
def lite_nl() -> Model:
    """The bundled network, loaded once for a worker."""
    return nlviz.load_model("lite-nl")


@pytest.fixture(scope="session")
def surveyed(tmp_path_factory: pytest.TempPathFactory) -> Survey:
    """A small survey, see ``tests.surveyed``, made once for a worker."""
    from tests.surveyed import made

    return made(tmp_path_factory.mktemp("surveyed"))
