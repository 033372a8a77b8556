"""A network that kills its process on black, and the first time that it sees white."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from torch import Tensor, nn

from tests.nets import FrameNet, frame_net

SEEN = "NLVIZ_TEST_WHITE_WAS_SEEN"  # path of a file that is made when white is seen


def kill_on_black(net: nn.Module, inputs: tuple[Tensor, ...]) -> None:
    picture = inputs[0]
    if picture.max() < 0:  # black, normalised
        os.kill(os.getpid(), signal.SIGKILL)
    if picture.min() > 1.5:
        seen = Path(os.environ[SEEN])
        if not seen.exists():
            seen.touch()
            os.kill(os.getpid(), signal.SIGKILL)


def build() -> FrameNet:
    net = frame_net()
    net.register_forward_pre_hook(kill_on_black)
    return net
