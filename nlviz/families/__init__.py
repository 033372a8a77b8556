"""Families of networks: one code base, one file, one literal, one line in the list below."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module

from torch import nn

from nlviz.errors import NlvizError, NoNonLocalBlocks, did_you_mean
from nlviz.families.family import Family
from nlviz.families.reading.adapter import AnyAdapter
from nlviz.families.reading.attention_adapter import AttentionAdapter
from nlviz.families.reading.checkpoint import Checkpoint
from nlviz.families.reading.layout import Layout
from nlviz.networks.as_written import as_written, unseen

# The first family that finds a block takes a live network, the first that recognises its keys a
# file: what is most particular comes first, plain trunks last.
_FILES = (
    "lite_nl",
    "object_relation",
    "graph_attention",
    "sequence",
    "non_local_1d",
    "action_transformer",
    "recall",
    "torchvision.detection",
    "video_resnet",
    "non_local_block",
    "caffe2",
    "slowfast",
    "open_mmlab",
    "mit_tsm",
    "gluoncv",
    "alexhex7",
    "tea1528",
    "timm.coatnet",
    "timm.non_local",
    "timm.vit",
    "timm.hugging_face",
    "tushar_n",
    "video_language",
    "language",
    "transformers",
    "timm.attention",
    "torchvision.attention",
)
_ANY = "attention"  # takes what no other does

FAMILIES: tuple[Family, ...] = tuple(
    import_module(f"nlviz.families.{f}").FAMILY for f in (*_FILES, _ANY)
)


def family_named(name: str) -> Family:
    """Return a family by its name or an earlier spelling of it.

    Raises:
        NlvizError: when there is no family of that name.

    >>> family_named("alexhex7 blocks").name
    'alexhex7'
    """
    for family in FAMILIES:
        if name == family.name or name in family.aliases:
            return family
    known = [family.name for family in FAMILIES]
    raise NlvizError(f"no family is called {name!r}{did_you_mean(name, known)}")


def family_of(net: nn.Module, *, family: str | None = None) -> Family:
    """Return the family whose blocks a network holds.

    Args:
        net: the network.
        family: take this family, rather than the first that finds a block.

    Raises:
        NoNonLocalBlocks: when no family finds a block.
        NlvizError: when there is no family of that name, or it reads files alone.

    >>> from nlviz.networks.lite_nl import LiteNL
    >>> family_of(LiteNL()).name
    'lite-nl'
    """
    net = as_written(net)
    tried: Iterable[Family] = FAMILIES
    if family is not None:
        named = family_named(family)
        if named.blocks is None:
            raise NlvizError(
                f"the family {named.name} reads files of weights, not live networks; take one of "
                f"{', '.join(f.name for f in FAMILIES if f.blocks is not None)}"
            )
        if getattr(named.blocks, "watches", False) and not unseen(net):
            return named  # what it reads is seen as it runs, whatever the code looks like
        tried = (named,)
    for one in tried:
        if one.blocks is not None and one.in_use and one.blocks.blocks(net):
            return one
    if unseen(net):
        raise NoNonLocalBlocks(
            f"a network's modules must be there as they were written, {unseen(net)} "
            f"of {type(net).__name__} is a graph (torch.jit, torch.fx or torch.export), inside "
            "which no hook runs; give the network as it was before"
        )
    raise NoNonLocalBlocks(
        f"a network needs a block with an affinity, {type(net).__name__} has none that these "
        f"families know: {', '.join(f.name for f in tried if f.blocks is not None)}; put one in "
        "with nlviz.insert(net, after=...); attention that its code does not show is seen as it "
        "runs, with family='attention'"
    )


def adapter_for(net: nn.Module, *, family: str | None = None) -> AnyAdapter:
    """Return the adapter that reads a network's blocks; see ``family_of``.

    >>> from nlviz.networks.block import NonLocalBlock
    >>> list(adapter_for(nn.Sequential(NonLocalBlock(6))).blocks(nn.Sequential(NonLocalBlock(6))))
    ['0']
    """
    adapter = family_of(net, family=family).blocks
    assert adapter is not None  # family_of returns no other
    return adapter


def adapter_of_any(net: nn.Module) -> AnyAdapter:
    """Return the adapter of a network, also of one without a block that a family knows.

    That one knows how the network takes a clip, where anybody does, and reads no affinity.

    >>> adapter_of_any(nn.Conv2d(3, 5, 1)).blocks(nn.Conv2d(3, 5, 1))
    {}
    """
    try:
        return adapter_for(net)
    except NoNonLocalBlocks:
        if unseen(as_written(net)):
            raise
    for family in FAMILIES:
        if family.blocks is not None and family.in_use and family.blocks.takes(as_written(net)):
            return family.blocks
    return AttentionAdapter()


def recognised(checkpoint: Checkpoint) -> list[tuple[Family, str]]:
    """Return the families that recognise a file, first choice first, each with what it saw.

    >>> from pathlib import Path
    >>> import torch
    >>> keys = ("first_stage.0.weight", "res_layers.0.0.conv1.weight")
    >>> file = Checkpoint(Path("net.pth"), "torch zip", {key: torch.zeros(1) for key in keys})
    >>> [(family.name, by) for family, by in recognised(file)]
    [('gluoncv', 'the names first_stage.0.weight and res_layers.0.0.conv1.weight')]
    """
    return [
        (family, by)
        for family in FAMILIES
        if family.checkpoint is not None and (by := family.checkpoint.recognise(checkpoint))
    ]


def layout_for(family: str) -> Layout:
    """Return the key layout of a family's files.

    Raises:
        NlvizError: when there is no family of that name, or it reads no files.

    >>> sorted(layout_for("tea1528").flags)
    ['key_pool', 'pairwise', 'scale', 'size']
    """
    named = family_named(family)
    if named.checkpoint is None:
        raise NlvizError(
            f"the family {named.name} reads live networks, no files of weights; take one of "
            f"{', '.join(f.name for f in FAMILIES if f.checkpoint is not None)}"
        )
    return named.checkpoint


def last_norm(block: nn.Module) -> nn.Module | None:
    """Return the normalisation behind a block's output projection, or None.

    >>> from nlviz.networks.block import NonLocalBlock
    >>> type(last_norm(NonLocalBlock(6))).__name__, last_norm(NonLocalBlock(6, norm=False))
    ('BatchNorm3d', None)
    """
    for family in FAMILIES:
        if not (family.last_norm and family.blocks is not None and family.in_use):
            continue
        if family.blocks.blocks(block):
            for path in family.last_norm:
                found: object = block
                for part in path.split("."):
                    found = getattr(found, part, None)
                if isinstance(found, nn.Module) and not isinstance(found, nn.Identity):
                    return found
    return None
