"""Object queries: their rows against eager attention, and the boxes that they stand at."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import nlviz
from nlviz.affinity.token_boxes import TokenBoxes
from nlviz.affinity.token_line import TokenLine
from nlviz.captures.model import Model
from nlviz.clips.clip import Clip
from nlviz.errors import OutsideClip

pytest.importorskip("transformers")

HEADS, QUERIES, FRAMES = 4, 7, 3
SPEC = nlviz.InputSpec(size=48, multiple=16)  # of 61 x 83: 48 x 64
FRAMES_OF_48 = nlviz.InputSpec(size=48, multiple=16, layout="frames")
CLIP = Clip.from_frames(np.random.default_rng(0).integers(0, 256, (FRAMES, 61, 83, 3), np.uint8))


def _detr(kind: str) -> nn.Module:
    import transformers as hf

    backbone = hf.ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic",
        out_features=["stage2"],
    )  # fmt: skip
    given: dict[str, Any] = {
        "use_timm_backbone": False,
        "use_pretrained_backbone": False,
        "backbone": None,
        "backbone_config": backbone,
        "encoder_layers": 1,
        "decoder_layers": 2,
        "encoder_attention_heads": 2,
        "decoder_attention_heads": HEADS,
        "encoder_ffn_dim": 20,
        "decoder_ffn_dim": 24,
        "num_queries": QUERIES,
        "hidden_size" if kind == "DabDetr" else "d_model": 16,
    }
    torch.manual_seed(5)
    config = getattr(hf, f"{kind}Config")(**given)
    net: nn.Module = getattr(hf, f"{kind}ForObjectDetection")(config).eval()
    for name, parameter in net.named_parameters():
        if parameter.dim() > 1 and ("q_" in name or "k_" in name or "query" in name):
            parameter.data.mul_(4)  # rows far from even
    return net


def _eager(net: Any, tensor: Tensor, **given: Any) -> Any:
    net.set_attn_implementation("eager")
    with torch.no_grad():
        return net(pixel_values=tensor, output_attentions=True, **given)


KINDS = ("Detr", "TableTransformer", "ConditionalDetr", "DabDetr")


@pytest.mark.parametrize("kind", KINDS)
def test_rows_of_object_queries_are_those_of_eager_attention(kind: str) -> None:
    net = _detr(kind)
    capture = nlviz.capture(net, CLIP, input_spec=SPEC)
    tensor = Model(net, input_spec=SPEC).prepared(CLIP).tensor
    seen = _eager(net, tensor)
    h, w = tensor.shape[-2] // 8, tensor.shape[-1] // 8
    names = list(capture.affinities)
    itself = [n for n in names if "decoder" in n and "self" in n]
    across = [n for n in names if "decoder" in n and "self" not in n]
    assert len(itself) == len(across) == 2
    for i in range(2):
        for name, given, keys in (
            (itself[i], seen.decoder_attentions[i], QUERIES),
            (across[i], seen.cross_attentions[i], h * w),
        ):
            affinity = capture.affinities[name]
            assert isinstance(affinity.queries, TokenBoxes)
            wanted = torch.zeros(HEADS, FRAMES * QUERIES, FRAMES * keys)
            for t in range(FRAMES):
                own = slice(t * QUERIES, (t + 1) * QUERIES), slice(t * keys, (t + 1) * keys)
                wanted[:, own[0], own[1]] = given[t]
            assert float((affinity.dense() - wanted).abs().max()) < 1e-5, name
    assert isinstance(capture.affinities[itself[0]].keys, TokenBoxes)
    assert capture.affinities[across[0]].keys.shape == (FRAMES, h, w)
    assert not any("decoder" in name for name in capture.refused)


def test_queries_stand_at_the_boxes_that_were_predicted_for_them() -> None:
    net = _detr("Detr")
    capture = nlviz.capture(net, CLIP, input_spec=SPEC)
    prepared = Model(net, input_spec=SPEC).prepared(CLIP)
    with torch.no_grad():
        output: Any = prepared.call(net, prepared.tensor)
    queries = capture.affinities["model.decoder.layers.1.encoder_attn"].queries
    assert isinstance(queries, TokenBoxes)
    x, y, w, h = output.pred_boxes[2, 5].tolist()  # shares of the whole picture, as in the paper
    wanted = (2.0, (y - h / 2) * 61, (x - w / 2) * 83, (y + h / 2) * 61, (x + w / 2) * 83)
    assert queries.boxes[2 * QUERIES + 5] == pytest.approx(wanted, abs=1e-3)
    scores = output.logits[2, 5].softmax(-1)[:-1]
    sure = float(scores.max()) >= 0.5
    assert queries.names[2 * QUERIES + 5].startswith("class" if sure else "query 5")
    assert any("boxes that the network predicted" in note for note in capture.notes)


def test_a_box_asks_for_the_row_of_its_query() -> None:
    capture = nlviz.capture(_detr("Detr"), CLIP, input_spec=SPEC)
    affinity = capture.affinities["model.decoder.layers.0.encoder_attn"]
    assert isinstance(affinity.queries, TokenBoxes)
    asked = affinity.map(box=QUERIES + 3, head=1)
    wanted = affinity.rows([QUERIES + 3])[1, 0].reshape(affinity.keys.shape).numpy()
    assert np.array_equal(asked.weights, wanted)
    assert asked.per_frame()[1] == pytest.approx(1.0, abs=1e-5)  # its own frame alone
    number = affinity.queries.number(affinity.queries.boxes[3])
    assert affinity.queries.boxes[number] == affinity.queries.boxes[3]
    with pytest.raises(OutsideClip, match="overlaps"):
        affinity.map(box=(0, -900, -900, -890, -890))


def test_padding_of_a_batch_is_no_part_of_the_picture() -> None:
    net: Any = _detr("Detr")
    rows, columns = 40, 56  # of 48 x 64: the rest is padding
    mask = torch.zeros(1, 48, 64, dtype=torch.long)
    mask[:, :rows, :columns] = 1
    clip = CLIP.part(0, 1)

    def prepare(clip: Clip) -> dict[str, Tensor]:
        x = torch.from_numpy(clip.frames.copy()).permute(0, 3, 1, 2).float()
        x = nn.functional.interpolate(x, size=(rows, columns), mode="bilinear") / 255 - 0.5
        x = nn.functional.pad(x, (0, 64 - columns, 0, 48 - rows))
        return {"pixel_values": x, "pixel_mask": mask}

    capture = nlviz.capture(net, clip, prepare=prepare)
    given = prepare(clip)
    seen = _eager(net, given["pixel_values"], pixel_mask=mask)
    affinity = capture.affinities["model.decoder.layers.1.encoder_attn"]
    found = torch.zeros(HEADS, QUERIES, 6 * 8)
    kept = torch.zeros(6, 8, dtype=torch.bool)
    kept[: affinity.keys.shape[1], : affinity.keys.shape[2]] = True
    prefix = affinity.keys.prefix
    dense = affinity.dense()
    found[:, :, kept.flatten()] = dense[:, :, prefix:]
    found[:, :, ~kept.flatten()] = dense[:, :, :prefix]
    assert float((found - seen.cross_attentions[1]).abs().max()) < 1e-5
    assert float(found[..., 5 * 8 :].abs().max()) == 0  # rows of cells in the padding
    queries = affinity.queries
    assert isinstance(queries, TokenBoxes)
    x, y, w, h = seen.pred_boxes[0, 4].tolist()
    wanted = (0.0, (y - h / 2) * 61, (x - w / 2) * 83, (y + h / 2) * 61, (x + w / 2) * 83)
    assert queries.boxes[4] == pytest.approx(wanted, abs=1.0)  # where prepare= puts it is measured


class Demo(nn.Module):
    """DETR as in the paper's appendix: a backbone, a transformer of torch, two heads."""

    def __init__(self, boxes: bool) -> None:
        super().__init__()
        self.backbone = nn.Conv2d(3, 16, 16, 16)
        with warnings.catch_warnings():  # of the batch on the second axis, as in the paper
            warnings.simplefilter("ignore")
            self.transformer = nn.Transformer(16, 2, 1, 2, 24, dropout=0.0)
        self.linear_bbox = nn.Linear(16, 4) if boxes else None
        self.query_pos = nn.Parameter(torch.rand(9, 16))
        self.row_embed = nn.Parameter(torch.rand(50, 8))
        self.col_embed = nn.Parameter(torch.rand(50, 8))

    def forward(self, inputs: Tensor) -> Any:
        h = self.backbone(inputs)
        height, width = h.shape[-2:]
        rows = self.row_embed[:height].unsqueeze(1).repeat(1, width, 1)
        columns = self.col_embed[:width].unsqueeze(0).repeat(height, 1, 1)
        pos = torch.cat([columns, rows], -1).flatten(0, 1).unsqueeze(1)
        queries = self.query_pos.unsqueeze(1).expand(-1, len(inputs), -1)
        h = self.transformer(pos + 0.1 * h.flatten(2).permute(2, 0, 1), queries).transpose(0, 1)
        if self.linear_bbox is None:
            return h
        return {"pred_boxes": self.linear_bbox(h).sigmoid()}


@pytest.mark.parametrize("frames", [1, 3])
def test_object_queries_of_torch_alone(frames: int) -> None:
    torch.manual_seed(2)
    net = Demo(boxes=True).eval()
    clip = CLIP.part(0, frames)
    capture = nlviz.capture(net, clip, input_spec=FRAMES_OF_48)
    affinity = capture.affinities["transformer.decoder.layers.1.self_attn"]
    assert isinstance(affinity.queries, TokenBoxes) and isinstance(affinity.keys, TokenBoxes)
    assert affinity.queries.size == 9 * frames and affinity.heads == 2
    assert affinity.queries.names[4] == "query 4"  # what its classes are is not known
    rows = affinity.dense()
    for t in range(frames):
        own = rows[:, 9 * t : 9 * t + 9, 9 * t : 9 * t + 9]
        assert torch.allclose(own.sum(-1), torch.ones(2, 9), atol=1e-5)
    assert capture.affinities["transformer.decoder.layers.0.multihead_attn"].keys.size == (
        frames * 3 * 4
    )


def test_queries_for_which_nothing_is_predicted_are_a_line() -> None:
    torch.manual_seed(2)
    capture = nlviz.capture(Demo(boxes=False).eval(), CLIP.part(0, 1), input_spec=FRAMES_OF_48)
    affinity = capture.affinities["transformer.decoder.layers.0.multihead_attn"]
    assert isinstance(affinity.queries, TokenLine)
    assert affinity.queries.words[:2] == ("query 0", "query 1")
    asked = affinity.map(token="query 5")
    assert np.array_equal(asked.weights.ravel(), affinity.rows([5])[:, 0].mean(0).numpy())
    assert asked.word == "query 5"


class Latents(nn.Module):
    """Latents that gather from pixels, among themselves, and give back to pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 12, 8, 8)
        self.latents = nn.Parameter(torch.randn(5, 12))
        self.gather = nn.MultiheadAttention(12, 3, batch_first=True)
        self.among = nn.MultiheadAttention(12, 2, batch_first=True)
        self.give = nn.MultiheadAttention(12, 4, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).mT
        latents = self.latents.expand(len(x), -1, -1)
        latents = latents + self.gather(latents, x, x)[0]
        latents = latents + self.among(latents, latents, latents)[0]
        given: Tensor = x + self.give(x, latents, latents)[0]
        return given


@pytest.mark.parametrize("frames", [1, 2])
def test_latents_are_a_line_with_the_names_of_their_parameter(frames: int) -> None:
    torch.manual_seed(3)
    net = Latents().eval()
    clip = CLIP.part(0, frames)
    spec = nlviz.InputSpec(size=24, multiple=8, layout="frames")
    capture = nlviz.capture(net, clip, input_spec=spec)
    x = net.patches(Model(net, input_spec=spec).prepared(clip).tensor).flatten(2).mT
    cells = x.shape[1]
    latents = net.latents.expand(frames, -1, -1)
    with torch.no_grad():
        pixels, weights = net.gather(latents, x, x, average_attn_weights=False)
        latents = latents + pixels
        among = net.among(latents, latents, latents, average_attn_weights=False)[1]
    found = capture.affinities["gather"], capture.affinities["among"], capture.affinities["give"]
    assert [(a.queries.kind, a.keys.kind) for a in found] == [
        ("line", "grid"), ("line", "line"), ("grid", "line"),
    ]  # fmt: skip
    for t in range(frames):
        rows = found[0].dense()[:, 5 * t : 5 * t + 5, cells * t : cells * (t + 1)]
        assert float((rows - weights[t]).abs().max()) < 1e-5
        rows = found[1].dense()[:, 5 * t : 5 * t + 5, 5 * t : 5 * t + 5]
        assert float((rows - among[t]).abs().max()) < 1e-5
    last = f"latents.4 of frame {frames - 1}" if frames > 1 else "latents.4"
    assert found[0].queries.names[-1] == last
    assert found[2].map(token=last, direction="to").weights.shape == found[2].queries.shape


def test_queries_that_the_network_picks_are_shown_at_their_boxes() -> None:
    """RT-DETR takes the best cells of its encoder for queries: which, no position tells."""
    import transformers as hf

    backbone = hf.RTDetrResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 1, 1], layer_type="basic",
        out_features=["stage2", "stage3", "stage4"],
    )  # fmt: skip
    config = hf.RTDetrConfig(
        backbone_config=backbone, use_timm_backbone=False, use_pretrained_backbone=False,
        backbone=None, encoder_hidden_dim=16, encoder_in_channels=[16, 24, 32], d_model=16,
        num_queries=9, decoder_layers=2, decoder_attention_heads=2, encoder_attention_heads=2,
        decoder_ffn_dim=16, encoder_ffn_dim=16, decoder_in_channels=[16, 16, 16], num_denoising=0,
        anchor_image_size=None,
    )  # fmt: skip
    torch.manual_seed(4)
    net = hf.RTDetrForObjectDetection(config).eval()
    spec = nlviz.InputSpec(size=64, multiple=32)
    capture = nlviz.capture(net, CLIP, input_spec=spec)
    seen = _eager(net, Model(net, input_spec=spec).prepared(CLIP).tensor)
    for i in range(2):
        affinity = capture.affinities[f"model.decoder.layers.{i}.self_attn"]
        assert isinstance(affinity.queries, TokenBoxes) and isinstance(affinity.keys, TokenBoxes)
        for t in range(FRAMES):
            own = affinity.dense()[:, 9 * t : 9 * t + 9, 9 * t : 9 * t + 9]
            assert float((own - seen.decoder_attentions[i][t]).abs().max()) < 1e-5
        assert "as many as boxes" in affinity.note
