"""One file of each family as its own code writes it, with random weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.families.writers import (
    action_transformer,
    alexhex7,
    caffe2,
    coatnet,
    gluoncv,
    graph_attention,
    hugging_face,
    lite_nl,
    mit_tsm,
    object_relation,
    open_mmlab,
    recall,
    sequences,
    slowfast,
    tea1528,
    timm_vit,
    torchvision_detection,
    tushar_n,
)

WRITERS: dict[str, Callable[[Path], Path]] = {
    "lite-nl": lite_nl.written_to,
    "action-transformer": action_transformer.written_to,
    "graph-attention": graph_attention.written_to,
    "object-relation": object_relation.written_to,
    "timm-coatnet": coatnet.written_to,
    "recall": recall.written_to,
    "sequence": sequences.written_to,
    "non-local-1d": sequences.towers_written_to,
    "torchvision-detection": torchvision_detection.written_to,
    "caffe2": caffe2.written_to,
    "open-mmlab": open_mmlab.written_to,
    "mit-tsm": mit_tsm.written_to,
    "gluoncv": gluoncv.written_to,
    "slowfast": slowfast.written_to,
    "tushar-n": tushar_n.written_to,
    "alexhex7": alexhex7.written_to,
    "tea1528": tea1528.written_to,
    "timm-vit": timm_vit.written_to,
    "timm-hugging-face": hugging_face.written_to,
}
