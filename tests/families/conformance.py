"""What every family must show, and the networks and files on which it does.

A family that reads live networks needs an entry in ``LIVE``, one that reads files an entry in
``tests.families.writers.WRITERS``; ``uncovered`` names those that have none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

import nlviz
from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.analysis.health import block_health
from nlviz.captures.model import Model
from nlviz.clips.clip import Clip
from nlviz.clips.text import with_prompt
from nlviz.families import FAMILIES, family_of
from nlviz.families.family import Family
from nlviz.families.reading.adapter import InputSpec
from nlviz.networks.lite_nl import LiteNL
from nlviz.networks.recall import RecallNL
from nlviz.networks.video_resnet import NonLocalSpec, VideoResNet, VideoResNetSpec
from nlviz.recipes.object_relation import drawn, scene
from tests.families.references import assert_close
from tests.families.small_transformers import small
from tests.families.small_video_language import small_tokenizer, small_video_language
from tests.families.stand_ins import (
    Around,
    NLBlockND,
    NonLocal,
    _NonLocalBlockND,
    _NonLocalNd,
    gluoncv,
    shaken,
)
from tests.nets import awake, frame_net, noise_clip

CLIP = noise_clip(3, 48, 64)
SYMBOLS = nlviz.read_text("d e a b c a p f n h m")
SMALL = {n: InputSpec(size=36, multiple=4, layout="clip" if n == 3 else "frames") for n in (2, 3)}
Live = tuple[nn.Module, InputSpec | None]


def around(block: nn.Module, n: int = 3) -> Live:
    torch.manual_seed(0)
    return Around(shaken(block), n).eval(), SMALL[n]


def detection() -> Live:
    from nlviz.networks.detection import mask_rcnn_nl

    torch.manual_seed(0)
    net: Any = awake(mask_rcnn_nl(weights="random")).eval()
    net.transform.min_size, net.transform.max_size = (64,), 96
    net.rpn._post_nms_top_n["testing"] = 5
    return net, None


def video_resnet() -> Live:
    torch.manual_seed(0)
    spec = VideoResNetSpec(depth=18, classes=7, non_local={(3, 1): NonLocalSpec(inner=5)})
    return awake(VideoResNet(spec)).eval(), InputSpec(size=64)


def timm_non_local() -> Live:
    import timm

    torch.manual_seed(0)
    net = timm.create_model("resnet18", block_args={"attn_layer": "nl"}, num_classes=5).eval()
    for module in net.modules():
        if type(module).__name__ == "NonLocalAttn":
            shaken(module)
    return net, InputSpec(size=64, layout="frames")


def timm_vit() -> Live:
    from timm.models.vision_transformer import VisionTransformer

    torch.manual_seed(0)
    size = {"img_size": (24, 32), "patch_size": 8, "embed_dim": 18, "num_heads": 3, "depth": 2}
    return VisionTransformer(num_classes=5, reg_tokens=2, **size).eval(), None


def of_unknown_code() -> Live:
    class Attends(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.qkv, self.project = nn.Linear(10, 30), nn.Linear(10, 10)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            q, k, v = self.qkv(x).unflatten(-1, (3, 2, 5)).permute(2, 0, 3, 1, 4)
            return x + self.project(((q @ k.mT).softmax(-1) @ v).transpose(1, 2).flatten(2))

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.patches, self.one, self.head = nn.Conv2d(3, 10, 8, 8), Attends(), nn.Linear(10, 7)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.one(self.patches(x).flatten(2).mT).mean(1))

    torch.manual_seed(0)
    return Net().eval(), InputSpec(size=48, multiple=8, layout="frames")


def timm_attention() -> Live:
    from timm.models.swin_transformer import SwinTransformer

    torch.manual_seed(0)
    size = {"img_size": (32, 48), "patch_size": 4, "window_size": 4, "embed_dim": 12}
    net: Any = SwinTransformer(depths=(2, 2), num_heads=(2, 3), num_classes=5, **size)
    net.pretrained_cfg = {}
    for p in net.parameters():
        p.data.add_(0.1 * torch.randn_like(p))
    return net.eval(), InputSpec(sides=(32, 48), layout="frames")


def torchvision_attention() -> Live:
    from torchvision.models.video.swin_transformer import SwinTransformer3d

    torch.manual_seed(0)
    net = SwinTransformer3d(
        patch_size=[1, 4, 4],
        embed_dim=12,
        depths=[2, 2],
        num_heads=[2, 3],
        window_size=[2, 4, 4],
        num_classes=5,
    )
    for p in net.parameters():
        p.data.add_(0.1 * torch.randn_like(p))
    return net.eval(), InputSpec(sides=(32, 48), layout="clip")


def object_relation() -> Live:
    from nlviz.networks.tile_relations import TileRelations

    torch.manual_seed(0)
    net = TileRelations()
    shaken(net.relation)
    return net.eval(), None


def graph_attention() -> Live:
    from nlviz.networks.graph_attention import GraphNetwork

    torch.manual_seed(0)
    return GraphNetwork(3, 5, hidden=12, heads=2, form="gatv2").eval(), None


def action_transformer() -> Live:
    from nlviz.networks.action_transformer import ActionTransformer, ActionTransformerHead

    torch.manual_seed(0)
    trunk = nn.Conv3d(3, 5, (1, 16, 16), stride=(1, 16, 16))
    head = ActionTransformerHead(5, width=8, location=6)
    return shaken(ActionTransformer(trunk, head)).eval(), nlviz.InputSpec(size=48, multiple=16)


def sequence() -> Live:
    from nlviz.networks.sequence.transduction import Size, Transduction

    torch.manual_seed(0)
    return shaken(Transduction("copy", "transformer", Size(12, 3, 1, 1, 7))).eval(), None


def non_local_1d() -> Live:
    from nlviz.networks.sequence.non_local_1d import NonLocal1d, TowerSize

    torch.manual_seed(0)
    net = NonLocal1d("copy", TowerSize(12, 6, 1, 7))
    for p in net.parameters():
        p.data.add_(0.1 * torch.randn_like(p))
    return net.eval(), None


def language() -> Live:
    import transformers as tr

    torch.manual_seed(0)
    small_one = {"n_embd": 24, "n_layer": 2, "n_head": 3, "n_positions": 64, "vocab_size": 400}
    config = tr.GPT2Config(**small_one, bos_token_id=1, eos_token_id=2)
    return tr.GPT2LMHeadModel(config).eval(), None


def video_language() -> Live:
    return small_video_language("qwen2.5-vl")[0], None


# What makes the input of networks that bring it along.
PROCESSORS: dict[str, Callable[[], Any]] = {
    "language": small_tokenizer,
    "video-language": lambda: small_video_language("qwen2.5-vl")[1],
}
# What a family takes, where that is no film.
INPUTS: dict[str, Callable[[], nlviz.Clip]] = {
    "object-relation": lambda: nlviz.Clip.from_frames(
        np.stack([drawn(scene(np.random.default_rng(n), stacks=n)) for n in (3, 4)])
    ),
    "graph-attention": lambda: nlviz.Graph.of(
        [[0, 1], [1, 0], [2, 1], [3, 1], [2, 4]], features=np.eye(5)[:, :3] + 0.3
    ),
    "sequence": lambda: SYMBOLS,
    "non-local-1d": lambda: SYMBOLS,
    "language": lambda: nlviz.read_text("What is the dog doing?"),
    "video-language": lambda: with_prompt(CLIP, nlviz.read_text("What is the dog doing?")),
}

LIVE: dict[str, Callable[[], Live]] = {
    "object-relation": object_relation,
    "action-transformer": action_transformer,
    "graph-attention": graph_attention,
    "sequence": sequence,
    "non-local-1d": non_local_1d,
    "language": language,
    "video-language": video_language,
    "timm-attention": timm_attention,
    "torchvision-attention": torchvision_attention,
    "attention": of_unknown_code,
    "lite-nl": lambda: (awake(LiteNL()).eval(), None),
    "recall": lambda: (awake(RecallNL()).eval(), None),
    "torchvision-detection": detection,
    "video-resnet": video_resnet,
    "non-local-block": lambda: (frame_net(), None),
    "slowfast": lambda: around(NonLocal(6, "softmax")),
    "open-mmlab": lambda: around(_NonLocalNd(6, 3, "dot_product")),
    "gluoncv": lambda: around(gluoncv(6, 3)),
    "alexhex7": lambda: around(_NonLocalBlockND(6, 2, "embedded_gaussian"), 2),
    "tea1528": lambda: around(NLBlockND(6, 3, "dot")),
    "timm-non-local": timm_non_local,
    "timm-vit": timm_vit,
    "transformers": lambda: (small("timesformer"), None),
}


def uncovered(
    families: Iterable[Family], live: Mapping[str, object], written: Mapping[str, object]
) -> dict[str, list[str]]:
    """Return what is missing for the conformance tests, by family."""
    found = {
        family.name: [
            *(["a live network"] if family.blocks is not None and family.name not in live else []),
            *(["a file"] if family.checkpoint is not None and family.name not in written else []),
        ]
        for family in families
    }
    return {name: missing for name, missing in found.items() if missing}


def check_live(family: Family, live: Live) -> None:
    """Rows give y, lie on their grids, do not disturb the network, and health is known."""
    net, spec = live
    assert family_of(net).name == family.name
    assert family_of(net, family=family.name).name == family.name
    adapter: Any = family.blocks
    if family.name in PROCESSORS:
        adapter = adapter.with_processor(PROCESSORS[family.name]())
    model, before = Model(net, adapter=adapter, input_spec=spec), hooks(net)
    clip = INPUTS.get(family.name, lambda: CLIP)()
    capture = model.capture(clip)
    assert capture.affinities
    assert hooks(net) == before
    assert family.blocks is not None
    if family.blocks.scores_of in ("box", "node") or "boxes" in family.blocks.inputs(net):
        check_tokens(capture)
        return
    if family.blocks.watches:
        check_attention(model, capture, clip)
        if not family.blocks.keeps:
            return
    for name, affinity in capture.affinities.items():
        assert isinstance(affinity, EmbeddedAffinity)
        check_rows(affinity, capture.clip)
        if not name.endswith(".cross"):  # between two lines
            assert capture.features[name].shape[1:] == affinity.queries.shape
        health = block_health(model, capture, name)
        assert health.size is not None
        assert health.size > 0
        assert health.distance_output is not None
        # Without gamma, a block that was never trained would look like one that was.
        norms = [m for m in capture.blocks[name].modules() if isinstance(m, _BatchNorm)]
        assert (health.gamma is None) == (not norms)
        if capture.logits is not None:
            assert health.effect is not None
            assert health.effect.logits > 0
    if capture.logits is not None:
        torch.testing.assert_close(capture.logits, model.logits(clip), rtol=0, atol=0)


def check_tokens(capture: nlviz.Capture) -> None:
    """Rows of boxes and nodes give y, sum to 1, and have a feature for each token."""
    assert capture.logits is None
    for name, affinity in capture.affinities.items():
        assert capture.receipts[name].holds
        assert capture.receipts[name].error < 1e-5
        assert affinity.values is not None
        assert affinity.output is not None
        rows = affinity.dense()
        assert_close(rows @ affinity.values.float(), affinity.output.float())
        assert float(affinity.output.std()) > 0
        reached = affinity.support.counts(affinity.queries, affinity.keys) > 0
        sums = rows.sum(-1)[:, reached]  # 0 where all gates of a relation are closed
        assert_close(sums, sums.round())
        assert int(sums.max()) == 1
        if name in capture.features:  # boxes over a clip have none on their own grid
            assert capture.features[name].shape[1:] == affinity.queries.shape
        assert affinity.clip_shape == capture.clip.shape


def check_attention(model: Model, capture: nlviz.Capture, clip: nlviz.Clip) -> None:
    """Rows are those that the network computed, and it computes what it does without us."""
    for name, affinity in capture.affinities.items():
        assert isinstance(affinity, EmbeddedAffinity)
        assert capture.receipts[name].holds
        rows = affinity.rows(torch.arange(affinity.queries.size))
        assert_close(rows.sum(-1), torch.ones(rows.shape[:2]))
        assert affinity.clip_shape == capture.clip.shape
    assert capture.logits is not None
    torch.testing.assert_close(capture.logits, model.logits(clip), rtol=0, atol=0)


def hooks(net: nn.Module) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in net.modules())


def check_rows(affinity: EmbeddedAffinity, clip: Clip = CLIP) -> None:
    tokens = [grid.size + grid.prefix for grid in (affinity.queries, affinity.keys)]
    rows = affinity.rows(torch.arange(affinity.queries.size)).float()
    assert rows.shape == (affinity.heads, affinity.queries.size, tokens[1])
    assert affinity.theta.shape[1] == tokens[0]
    assert bool(rows.isfinite().all())
    assert float(rows.std()) > 0
    if affinity.pairwise.name.endswith("gaussian"):
        assert_close(rows.sum(-1), torch.ones(rows.shape[:2]))
    assert affinity.values is not None
    assert affinity.output is not None
    y = affinity.output[:, affinity.queries.prefix :].float()
    assert_close(rows @ affinity.values.float(), y)
    assert affinity.clip_shape == clip.shape
    centres = np.array([affinity.queries.centre(i) for i in (0, affinity.queries.size - 1)])
    assert (centres > -1).all()
    assert (centres < clip.shape).all()


def check_file(family: Family, path: Path) -> None:
    """One family recognises the file, explains each key, and another spelling reads the same."""
    report = nlviz.inspect_weights(path)
    assert (report.family, report.complete, report.faults) == (family.name, True, "")
    assert report.blocks
    assert report.recognised_by
    for spelling in (family.name, *family.aliases):
        assert nlviz.inspect_weights(path, family=spelling) == report
    assert family.checkpoint is not None
    assert set(report.flags) & set(family.checkpoint.flags) or not family.checkpoint.flags


def named(families: Iterable[Family] = FAMILIES) -> dict[str, Family]:
    return {family.name: family for family in families}
