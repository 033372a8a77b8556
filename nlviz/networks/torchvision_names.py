"""How torchvision and mmcv call the parts of a ResNet, and what they are called here."""

from __future__ import annotations

import re

_ABC = {"1": "a", "2": "b", "3": "c"}
_STEM = re.compile(r"conv1(?:\.conv)?\.weight")
_STEM_BN = re.compile(r"(?:bn1|conv1\.bn)\.(\w+)")
_HEAD = re.compile(r"fc\.(weight|bias)")
_CONV = re.compile(r"layer([1-4])\.(\d+)\.conv([123])(?:\.conv)?\.weight")
_NORM = re.compile(r"layer([1-4])\.(\d+)\.(?:bn([123])|conv([123])\.bn)\.(\w+)")
_DOWN = re.compile(r"layer([1-4])\.(\d+)\.downsample\.(?:0|conv)\.weight")
_DOWN_BN = re.compile(r"layer([1-4])\.(\d+)\.downsample\.(?:1|bn)\.(\w+)")


def torchvision_name(key: str) -> str | None:
    """Return the name of a trunk's key as torchvision or mmcv spells it, or None.

    >>> torchvision_name("layer1.0.conv2.bn.running_var"), torchvision_name("layer4.0.bn3.weight")
    ('res2.0.b_bn.running_var', 'res5.0.c_bn.weight')
    >>> torchvision_name("layer2.0.downsample.0.weight"), torchvision_name("layer2.1.nl.g.weight")
    ('res3.0.shortcut.weight', None)
    """
    if _STEM.fullmatch(key):
        return "stem.conv.weight"
    if m := _STEM_BN.fullmatch(key):
        return f"stem.bn.{m[1]}"
    if m := _HEAD.fullmatch(key):
        return f"head.{m[1]}"
    if m := _CONV.fullmatch(key):
        return f"res{int(m[1]) + 1}.{int(m[2])}.{_ABC[m[3]]}.weight"
    if m := _NORM.fullmatch(key):
        return f"res{int(m[1]) + 1}.{int(m[2])}.{_ABC[m[3] or m[4]]}_bn.{m[5]}"
    if m := _DOWN.fullmatch(key):
        return f"res{int(m[1]) + 1}.{int(m[2])}.shortcut.weight"
    if m := _DOWN_BN.fullmatch(key):
        return f"res{int(m[1]) + 1}.{int(m[2])}.shortcut_bn.{m[3]}"
    return None
