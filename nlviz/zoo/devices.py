"""Devices that a network can run on."""

from __future__ import annotations

import torch

from nlviz.errors import (
    NlvizError,
)


def list_devices() -> list[str]:
    """Return the devices that torch can use here, best first.

    >>> "cpu" in list_devices()
    True
    """
    found = ["cuda"] if torch.cuda.is_available() else []
    return [*found, *(["mps"] if torch.backends.mps.is_available() else []), "cpu"]


def device_name(device: str) -> str:
    """Return what a device is called: the GPU's name, or CPU with its threads.

    >>> device_name("cpu").startswith("CPU")
    True
    """
    if device.startswith("cuda"):
        return str(torch.cuda.get_device_name(device))
    if device != "cpu":
        return device.upper()
    threads = torch.get_num_threads()
    return f"CPU, {threads} thread{'' if threads == 1 else 's'}"


def pick_device(device: str | None) -> str:
    """Return a usable device.

    Args:
        device: ``cpu``, ``cuda`` or ``mps``; None or ``auto`` for the best there is.

    Raises:
        NlvizError: when the device is not there.

    >>> pick_device("cpu")
    'cpu'
    """
    there = list_devices()
    if device in (None, "auto"):
        return there[0]
    if str(device).split(":")[0] not in there:
        raise NlvizError(f"a device here is one of {', '.join(there)} or auto, got {device!r}")
    return str(device)
