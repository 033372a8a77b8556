"""Networks that workers of a survey build by their name, some of which do not survive a clip."""

from __future__ import annotations

import math
import os
import signal
import time
from pathlib import Path

import torch
from torch import Tensor

from nlviz.captures.model import Model
from tests.nets import CLIPS, ClipNet, clip_net

FORWARDS = "NLVIZ_TEST_FORWARDS"  # file that a network of ``slow`` adds a line to in each pass
ALLOWED = "NLVIZ_TEST_ALLOWED"  # file that says how many lines there may be; without it, any number


def tiny() -> Model:
    """Return a network of one block."""
    return Model(clip_net(), input_spec=CLIPS)


class Fragile(ClipNet):
    """Ends on a white clip, crashes on a black one, wants all memory for a red, refuses a blue."""

    def forward(self, x: Tensor) -> Tensor:
        red, green, blue = x.mean((0, 2, 3, 4)).tolist()
        if x.std((0, 2, 3, 4)).max() > 0.1:  # no clip of one colour, or a probe of where cells lie
            return super().forward(x)
        if min(red, green, blue) > 2:
            os._exit(7)
        if max(red, green, blue) < -1.7:
            os.kill(os.getpid(), signal.SIGSEGV)
        if red > 2 and green < -1.7:
            torch.empty(1 << 60)
        if blue > 2 and red < -1.7:
            raise ValueError("this network takes no blue")
        return super().forward(x)


def fragile() -> Model:
    """Return ``tiny``'s network, in a class that does not survive every clip."""
    net = Fragile().eval()
    net.load_state_dict(clip_net().state_dict())
    return Model(net, input_spec=CLIPS)


def allowed() -> float:
    """Return how many passes there may be."""
    path = Path(os.environ.get(ALLOWED, ""))
    return float(path.read_text() or 0) if path.is_file() else math.inf


class Slow(ClipNet):
    """Waits until it may, and notes each pass of a clip, by the sum of its pixels."""

    def forward(self, x: Tensor) -> Tensor:
        if x.abs().max() < 2.7 and x.std() > 0.1:  # no probe of where cells lie
            noted = Path(os.environ[FORWARDS])
            while noted.is_file() and len(noted.read_text().split()) >= allowed():
                time.sleep(0.02)
            with noted.open("a") as file:
                file.write(f"{x.double().sum().item():.6f}\n")
        return super().forward(x)


def slow() -> Model:
    """Return ``tiny``'s network, in a class that waits until it may."""
    net = Slow().eval()
    net.load_state_dict(clip_net().state_dict())
    return Model(net, input_spec=CLIPS)


def unseeded() -> Model:
    """Return a network with other weights each time."""
    torch.seed()
    return Model(ClipNet().eval(), input_spec=CLIPS)
