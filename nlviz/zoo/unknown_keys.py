"""Non-local blocks in a file that no layout knows, found by how their keys end.

The endings are those of the codes' own modules: https://github.com/AlexHex7/Non-local_pytorch,
https://github.com/open-mmlab/mmcv, https://github.com/facebookresearch/SlowFast,
https://github.com/facebookresearch/pytorchvideo, https://github.com/dmlc/gluon-cv,
https://github.com/tea1528/Non-Local-NN-Pytorch and https://github.com/facebookresearch/video-nonlocal-net.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from nlviz.families.reading.layout import Block

# (code, key of g's weight, of W_z's weight, of theta's weight); the first that fits names the code.
_ENDINGS = (
    ("mmcv", r"g(?:\.0)?\.conv\.weight", "conv_out.conv.weight", "theta.conv.weight"),
    ("SlowFast or PyTorchVideo", r"conv_g\.weight", "conv_out.weight", "conv_theta.weight"),
    ("GluonCV", r"g\.weight", "W_bn.0.weight", "theta.weight"),
    ("tea1528", r"g\.weight", "W_z.0.weight", "theta.weight"),
    ("tea1528 without normalisation", r"g\.weight", "W_z.weight", "theta.weight"),
    ("AlexHex7", r"g(?:\.0)?\.weight", "W.0.weight", "theta.weight"),
    ("AlexHex7 without normalisation", r"g(?:\.0)?\.weight", "W.weight", "theta.weight"),
    ("nlviz", r"g\.weight", "out.weight", "theta.weight"),
)
_CAFFE2 = re.compile(r"(.+)_g_w")


def find_blocks(tensors: Mapping[str, Tensor]) -> dict[str, tuple[Block, ...]]:
    """Return the blocks by the code that names its keys so; of a block's name, all but the ending.

    Args:
        tensors: by the keys of the file.

    >>> import torch
    >>> keys = {"net.nl.theta.weight": (3, 6, 1, 1), "net.nl.g.0.weight": (3, 6, 1, 1),
    ...     "net.nl.phi.0.weight": (3, 6, 1, 1), "net.nl.W.0.weight": (6, 3, 1, 1)}
    >>> find_blocks({k: torch.zeros(v) for k, v in keys.items()})["AlexHex7"][0].name
    'net.nl'
    """
    found: dict[str, list[Block]] = {}
    taken: set[str] = set()
    for code, g, out, theta in _ENDINGS:
        pattern = re.compile(rf"(?:(.*)\.)?{g}")
        for key, tensor in tensors.items():
            if not (m := pattern.fullmatch(key)):
                continue
            prefix = f"{m[1]}." if m[1] else ""
            if prefix in taken or f"{prefix}{out}" not in tensors or tensor.dim() < 2:
                continue
            taken.add(prefix)
            concat = any(k.startswith((f"{prefix}concat_project", f"{prefix}W_f")) for k in tensors)
            f = _pairwise(f"{prefix}{theta}" in tensors, concat or f"{prefix}w_f" in tensors)
            block = Block(m[1] or "the whole file", tensor.shape[1], tensor.shape[0], f)
            found.setdefault(code, []).append(block)
    for key, tensor in tensors.items():
        if (m := _CAFFE2.fullmatch(key)) and f"{m[1]}_out_w" in tensors and tensor.dim() > 1:
            f = _pairwise(f"{m[1]}_theta_w" in tensors, False)
            block = Block(m[1], tensor.shape[1], tensor.shape[0], f)
            found.setdefault("Caffe2", []).append(block)
    return {code: tuple(blocks) for code, blocks in found.items()}


def _pairwise(has_theta: bool, concat: bool) -> str:
    if concat:
        return "concatenation"
    return "embedded_gaussian or dot_product" if has_theta else "gaussian"
