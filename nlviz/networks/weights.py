"""Network weights in safetensors files: read, checked and put into a network."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from nlviz.errors import WeightsMismatch
from nlviz.files.local import digest_of


def read_weights(path: Path, *, sha256: str | None = None) -> dict[str, Tensor]:
    """Read a safetensors file.

    Args:
        path: the file.
        sha256: the digest it must have, or None for any.

    Raises:
        WeightsMismatch: when the file is missing, broken or has another digest.
    """
    if not path.is_file():
        raise WeightsMismatch(f"there is no weights file {str(path)!r}")
    if sha256 is not None and (found := digest_of(path)) != sha256:
        raise WeightsMismatch(
            f"{path.name} must have the sha256 {sha256[:12]}..., it has {found[:12]}...; it was "
            "changed or cut short, restore the original file"
        )
    try:
        return load_file(path)
    except SafetensorError as error:
        raise WeightsMismatch(
            f"{path.name} is no complete safetensors file ({error}); restore the original"
        ) from None


def load_into(net: nn.Module, weights: Mapping[str, Tensor], *, source: str) -> None:
    """Copy weights into a network; half precision becomes the network's own.

    Raises:
        WeightsMismatch: when keys are missing, unexpected or of another shape.

    >>> net = nn.Linear(3, 2)
    >>> try:
    ...     load_into(net, {"weight": net.weight.detach()[:1]}, source="a.safetensors")
    ... except WeightsMismatch as error:
    ...     print(error)
    a.safetensors does not fit Linear: 1 missing (bias),
    1 of another shape (weight is (1, 3), needs (2, 3))
    """
    own = net.state_dict()
    optional = {k for k in own if k.endswith("num_batches_tracked")}
    faults = {
        "missing": sorted(own.keys() - weights.keys() - optional),
        "unexpected": sorted(weights.keys() - own.keys()),
        "of another shape": [
            f"{k} is {tuple(weights[k].shape)}, needs {tuple(own[k].shape)}"
            for k in sorted(own.keys() & weights.keys())
            if own[k].shape != weights[k].shape
        ],
    }
    told = [
        f"{len(keys)} {what} ({', '.join(keys[:5])}{', ...' if len(keys) > 5 else ''})"
        for what, keys in faults.items()
        if keys
    ]
    if told:
        raise WeightsMismatch(f"{source} does not fit {type(net).__name__}: {', '.join(told)}")
    net.load_state_dict({k: v.to(own[k].dtype) for k, v in weights.items()}, strict=False)
