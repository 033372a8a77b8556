"""Networks of the library transformers against their own eager attention, on every query."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import nlviz
from nlviz.affinity.base import Affinity
from nlviz.captures.model import Model
from nlviz.errors import NlvizError
from nlviz.families import family_of
from nlviz.families.reading.adapter import InputSpec
from nlviz.networks.attention.watch import watched
from tests.families.small_transformers import BUILT, PICTURE, small
from tests.nets import noise_clip

transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.slow


def eager(name: str) -> Any:
    """Return the same network computing attention by the library's own plain code."""
    net = small(name)
    twin = type(net)._from_config(deepcopy(net.config), attn_implementation="eager")
    twin.load_state_dict(net.state_dict())
    return twin.eval().requires_grad_(False)


def captured(name: str) -> tuple[Any, Model, Any, nlviz.Capture]:
    net = small(name)
    model = Model(net)
    spec = model.input_spec
    assert spec is not None
    clip = noise_clip(spec.frames or 2, 44, 62)
    return net, model, model.prepared(clip), model.capture(clip)


def seen_by_hooks(name: str, prepared: Any, blocks: list[str]) -> dict[str, Tensor]:
    """Return the weights that attention modules return beside their output."""
    net, found = eager(name), {}

    def keep(module: nn.Module, args: Any, output: Any, *, block: str) -> None:
        found[block] = output[1].detach()

    for block in blocks:
        net.get_submodule(block).register_forward_hook(partial(keep, block=block))
    with torch.no_grad():
        given = {**prepared.kwargs, "output_attentions": True}
        replace(prepared, kwargs=given).call(net, prepared.tensor)
    return found


def matrix(affinity: Affinity) -> Tensor:
    """Return all rows, (heads, tokens, keys), tokens without a place first."""
    rows = affinity.rows(range(affinity.queries.size))
    apart = affinity.token_rows() if affinity.queries.prefix else rows[:, :0]
    return torch.cat([apart, rows], 1)


def laid(weights: Tensor, queries: Tensor, keys: Tensor, total: int) -> Tensor:
    """Return weights (entries, heads, n, m) of groups in one matrix, at the numbers of tokens."""
    found = weights.new_zeros(weights.shape[1], total, total)
    for each, q, k in zip(weights, queries, keys, strict=True):
        found[:, q[:, None], k[None]] = each
    return found


def frame_by_frame(frames: int, prefix: int, cells: int) -> Tensor:
    """Return the number of each token: those of each frame by themselves."""
    apart = torch.arange(frames * prefix).reshape(frames, prefix)
    placed = frames * prefix + torch.arange(frames * cells).reshape(frames, cells)
    return torch.cat([apart, placed], 1)


def window_by_window(frames: int, h: int, w: int, size: int, shift: int) -> Tensor:
    """Return the numbers of tokens in windows of a padded picture that was moved by a shift."""
    high, wide = -(-h // size) * size, -(-w // size) * size
    grid = torch.full((frames, high, wide), -1)
    grid[:, :h, :w] = torch.arange(frames * h * w).reshape(frames, h, w)
    grid = grid.roll((-shift, -shift), (1, 2))
    grid = grid.reshape(frames, high // size, size, wide // size, size).transpose(2, 3)
    found = grid.reshape(-1, size * size)
    padding = found < 0
    count = int(padding.sum())
    found = found + count
    found[padding] = torch.arange(count)
    return found


def assert_rows(affinity: Affinity, wanted: Tensor, name: str) -> None:
    found = matrix(affinity)
    assert found.shape == wanted.shape, name
    assert float((found - wanted).abs().max()) < 1e-5, name
    assert float(wanted.std()) > 1e-4, name


JOINT = {
    "timesformer-joint": "encoder.layer.{}.attention.attention",
    "videomae": "videomae.encoder.layer.{}.attention.attention",
    "vivit": "vivit.layers.{}.attention",
    "v-jepa-2": "vjepa2.encoder.layer.{}.attention",
    "vit": "vit.layers.{}.attention",
    "deit": "deit.layers.{}.attention",
    "beit": "beit.layers.{}.attention",
    "dinov2": "dinov2.encoder.layer.{}.attention",
    "dinov2-registers": "encoder.layer.{}.attention",
    "dinov3": "model.layer.{}.attention",
    "clip": "encoder.layers.{}.self_attn",
    "siglip": "encoder.layers.{}.self_attn",
}


@pytest.mark.parametrize("name", JOINT)
def test_rows_are_those_of_eager_attention(name: str) -> None:
    _, _, prepared, capture = captured(name)
    given = {**prepared.kwargs, "output_attentions": True}
    with torch.no_grad():
        attentions = replace(prepared, kwargs=given).call(eager(name), prepared.tensor).attentions
    for i, weights in enumerate(attentions):
        affinity = capture.affinities[JOINT[name].format(i)]
        t, h, w = affinity.queries.shape
        groups = len(weights)
        each = affinity.queries.prefix // groups
        tokens = frame_by_frame(groups, each, t * h * w // groups)
        if name == "timesformer-joint":  # place by place, and there frame by frame
            tokens[:, 1:] = tokens[:, 1:].unflatten(-1, (t, h * w)).mT.flatten(1)
        wanted = laid(weights, tokens, tokens, affinity.keys.size + affinity.keys.prefix)
        assert_rows(affinity, wanted, f"{name} {i}")


def test_rows_of_divided_attention_in_space_and_in_time() -> None:
    net, _, prepared, capture = captured("timesformer")
    layers = net.timesformer.encoder.layer
    entered: dict[str, Tensor] = {}
    handles = [
        getattr(layers[i], kind).attention.register_forward_pre_hook(
            lambda module, args, key=f"{i}.{kind}": entered.setdefault(key, args[0].detach())
        )
        for i in range(2)
        for kind in ("attention", "temporal_attention")
    ]
    with torch.no_grad():
        prepared.call(net, prepared.tensor)
    for handle in handles:
        handle.remove()
    frames, places, heads, d = 3, 25, 3, 8
    for key, x in entered.items():
        i, kind = key.split(".")
        affinity = capture.affinities[f"timesformer.encoder.layer.{i}.{kind}.attention"]
        qkv = getattr(layers[int(i)], kind).attention.qkv
        q, k, _ = (x @ qkv.weight.T + qkv.bias).unflatten(-1, (3, heads, d)).unbind(2)
        logits = torch.einsum("bnhd,bmhd->bhnm", q, k) / d**0.5
        weights = logits.exp() / logits.exp().sum(-1, keepdim=True)
        if kind == "attention":
            tokens = frame_by_frame(frames, 1, places)
        else:  # a group for each place, along time
            tokens = torch.arange(frames * places).reshape(frames, places).T
        total = affinity.keys.size + affinity.keys.prefix
        assert_rows(affinity, laid(weights, tokens, tokens, total), key)
        reached = float((matrix(affinity)[0] > 0).sum(-1).max())
        assert reached == (places + 1 if kind == "attention" else frames)


@pytest.mark.parametrize(("name", "rest"), [("swin", ""), ("swin-v2", ".self")])
def test_rows_of_windows_that_are_shifted_and_padded(name: str, rest: str) -> None:
    _, _, prepared, capture = captured(name)
    seen = seen_by_hooks(name, prepared, list(capture.affinities))
    sizes = set()
    for block, weights in seen.items():
        affinity = capture.affinities[block]
        _, h, w = affinity.queries.shape
        shifted = 2 if block.removesuffix(rest).endswith("1.attention") else 0
        tokens = window_by_window(2, h, w, 5, shifted)
        wanted = laid(weights, tokens, tokens, affinity.keys.size + affinity.keys.prefix)
        assert_rows(affinity, wanted, block)
        sizes.add((h, w, affinity.keys.prefix))
        last = affinity.queries.centre(affinity.queries.size - 1)
        assert last[1] < 44 and last[2] < 62  # padding is no place
    assert sizes == {(20, 28, 2 * 20 * 2), (10, 14, 2 * 10)}


def test_rows_of_windows_and_of_the_whole_with_a_bias_for_each_axis() -> None:
    _, _, prepared, capture = captured("sam")
    seen = seen_by_hooks("sam", prepared, list(capture.affinities))
    for block, windows in (
        ("vision_encoder.layers.0.attn", 5),
        ("vision_encoder.layers.1.attn", 12),
    ):
        affinity = capture.affinities[block]
        tokens = window_by_window(2, 12, 12, windows, 0)
        weights = seen[block].reshape(len(tokens), 3, *seen[block].shape[-2:])
        wanted = laid(weights, tokens, tokens, affinity.keys.size + affinity.keys.prefix)
        assert_rows(affinity, wanted, block)
        assert affinity.queries.shape == (2, 12, 12)


def test_rows_of_object_queries_over_the_picture() -> None:
    _, _, prepared, capture = captured("detr")
    with torch.no_grad():
        seen = eager("detr")(pixel_values=prepared.tensor, output_attentions=True)
    _, h, w = capture.affinities["model.encoder.layers.0.self_attn"].queries.shape
    for i in range(2):
        affinity = capture.affinities[f"model.encoder.layers.{i}.self_attn"]
        tokens = frame_by_frame(2, 0, h * w)
        wanted = laid(seen.encoder_attentions[i], tokens, tokens, 2 * h * w)
        assert_rows(affinity, wanted, f"encoder {i}")
        affinity = capture.affinities[f"model.decoder.layers.{i}.encoder_attn"]
        objects = torch.arange(2 * 5).reshape(2, 5)
        wanted = torch.zeros(affinity.heads, 2 * 5, 2 * h * w)
        for frame, weights in enumerate(seen.cross_attentions[i]):
            wanted[:, 5 * frame : 5 * frame + 5, frame * h * w : (frame + 1) * h * w] = weights
        assert float((matrix(affinity) - wanted).abs().max()) < 1e-5
        affinity = capture.affinities[f"model.decoder.layers.{i}.self_attn"]
        wanted = laid(seen.decoder_attentions[i], objects, objects, 2 * 5)
        assert_rows(affinity, wanted, f"decoder {i}")
    assert capture.logits is None


def tensors(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    parts = value.values() if isinstance(value, dict) else value
    return [t for part in parts or () if not isinstance(part, str) for t in tensors(part)]


@pytest.mark.parametrize("name", BUILT)
def test_what_the_network_returns_is_the_same_bit_for_bit(name: str) -> None:
    net, _, prepared, _ = captured(name)
    with torch.no_grad():
        plain = tensors(prepared.call(net, prepared.tensor))
        with watched(net):
            seen = tensors(prepared.call(net, prepared.tensor))
    assert plain and len(plain) == len(seen)
    assert all(torch.equal(a, b) for a, b in zip(plain, seen, strict=True))


def test_the_configuration_says_sizes_frames_and_labels() -> None:
    net, model, prepared, capture = captured("timesformer")
    assert family_of(net).name == "transformers"
    assert prepared.tensor.shape == (1, 3, 3, 30, 30) and prepared.order == (0, 2, 1, 3, 4)
    assert model.labels == ("swim", "run", "jump")
    assert capture.prediction(1)[0][0] in model.labels
    with pytest.raises(NlvizError, match="takes clips of 3 frames, this one has 5"):
        model.capture(noise_clip(5, 30, 40))
    videos = Model(small("videomae"))
    assert videos.input_spec is not None
    assert (videos.input_spec.sides, videos.input_spec.frames) == ((20, 28), 6)
    assert videos.capture(noise_clip(4, 30, 40)).clip.shape[0] == 6  # lengthened, and said
    with pytest.raises(NlvizError, match="takes clips of 6 frames, this one has 8"):
        videos.capture(noise_clip(8, 30, 40))
    assert len(list(videos.capture_windows(noise_clip(12, 30, 40), frames=6))) == 2


def test_half_a_tubelet_is_lengthened() -> None:
    model = Model(small("v-jepa-2"))
    affinity = model.capture(noise_clip(5, 30, 40)).affinities["vjepa2.encoder.layer.0.attention"]
    assert affinity.queries.shape == (3, 6, 6)
    assert affinity.queries.centre(0)[0] == 0.5


def test_other_sizes_than_in_training() -> None:
    spec = InputSpec(sides=(36, 48))
    capture = nlviz.capture(small("siglip"), noise_clip(2, 44, 62), input_spec=spec)
    assert capture.affinities["encoder.layers.1.self_attn"].queries.shape == (2, 6, 8)


def test_a_part_of_a_network_of_ones_own() -> None:
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.trunk, self.head = small("dinov2-registers"), nn.Linear(24, 3)

        def forward(self, x: Tensor) -> Tensor:
            found: Tensor = self.head(self.trunk(x).last_hidden_state[:, 0])
            return found

    net = Own().eval()
    assert family_of(net).name == "transformers"
    capture = nlviz.capture(net, noise_clip(2, 44, 62))
    affinity = capture.affinities["trunk.encoder.layer.1.attention"]
    assert affinity.token_names[:5] == ("cls", *(f"registers.{i}" for i in range(4)))
    assert affinity.token_rows().shape[1] == 10


def test_networks_that_take_more_than_a_picture_are_told_apart() -> None:
    words = {"vocab_size": 99, "max_position_embeddings": 7, "bos_token_id": 1, "eos_token_id": 2}
    sizes = {k: v for k, v in PICTURE.items() if k not in ("image_size", "patch_size")}
    config = transformers.CLIPConfig(
        vision_config={**PICTURE, "image_size": 20}, text_config={**sizes, **words}
    )
    net = transformers.CLIPModel(config).eval()
    clip = noise_clip(1, 30, 40)
    with pytest.raises(NlvizError, match=r"words beside the picture; .* net\.vision_model"):
        nlviz.capture(net, clip)
    found = nlviz.capture(net.vision_model, clip).affinities
    assert found["encoder.layers.1.self_attn"].token_names == ("cls",)
    text = transformers.BertModel(transformers.BertConfig(vocab_size=99, **sizes))
    with pytest.raises(NlvizError, match=r"BertModel takes a text, no pictures"):
        nlviz.capture(text, clip)


def test_the_processor_says_mean_and_deviation(tmp_path: Any) -> None:
    net = small("vit")
    net.save_pretrained(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(
        '{"image_mean": [0.1, 0.2, 0.3], "image_std": [0.4, 0.5, 0.6], "rescale_factor": 0.0039216}'
    )
    again = transformers.ViTForImageClassification.from_pretrained(tmp_path)
    spec = Model(again).input_spec
    assert spec is not None
    mean, std = spec.normalisation()
    assert np.allclose(mean, (25.5, 51, 76.5), atol=1e-3) and np.allclose(
        std, (102, 127.5, 153), 1e-3
    )
    capture = Model(again).capture(noise_clip(1, 44, 62))
    assert not any("No processor" in note for note in capture.notes)


def test_a_network_without_a_processor_says_which_mean_it_was_given() -> None:
    _, model, _, capture = captured("vit")
    assert any("No processor was saved" in note for note in capture.notes)
    own = replace(model.input_spec, mean=(9, 9, 9), std=(7, 7, 7), white=255)  # type: ignore[type-var]
    told = Model(model.net, input_spec=own).capture(noise_clip(2, 44, 62))
    assert not any("No processor" in note for note in told.notes)


def test_timesformers_time_and_space_are_a_cross_and_a_composition() -> None:
    _, _, _, capture = captured("timesformer")
    names = [
        f"timesformer.encoder.layer.1.{k}.attention" for k in ("temporal_attention", "attention")
    ]
    time, space = (capture.affinities[name] for name in names)
    assert nlviz.divided_layer(capture.affinities, names[0]) == tuple(names)
    both, through = nlviz.cross([time, space]), nlviz.compose([time, space])
    frames = space.keys.prefix  # each frame has a copy of the class token
    assert (time.keys.prefix, both.keys.prefix, through.keys.prefix) == (0, frames, frames)
    first, last = (a.dense().double().mean(0) for a in (time, space))
    wanted = torch.cat([last[:, :frames], last[:, frames:] @ first], 1)
    assert torch.allclose(through.dense()[0].double(), wanted, atol=1e-6)
    assert torch.allclose(both.dense().sum(-1), torch.tensor(2.0), atol=1e-5)
    for name in names:
        found = nlviz.controls(capture, name)
        assert torch.equal(found["cross"].dense(), both.dense())
        assert torch.equal(found["composed"].dense(), through.dense())
