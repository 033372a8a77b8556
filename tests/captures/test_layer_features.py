"""Features of any layer against those that a hook of one's own sees, laid out by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import timm
import torch
from torch import Tensor, nn
from torchvision.models.swin_transformer import SwinTransformer
from torchvision.models.vision_transformer import VisionTransformer

import nlviz
from nlviz.captures.feature_captures import with_features
from nlviz.captures.layer_features import features, layer_named
from nlviz.captures.model import Model
from nlviz.errors import NlvizError, UnknownBlock
from nlviz.families import adapter_of_any
from nlviz.families.reading.adapter import InputSpec
from tests.families.small_transformers import BUILT
from tests.nets import clip_net, frame_net, noise_clip


def by_hook(net: nn.Module, x: Tensor, layer: str, *, entering: bool = False) -> Any:
    """Return what a layer returned last, or was given."""
    seen: list[Any] = []
    module = net.get_submodule(layer)
    hook = module.register_forward_hook(
        lambda _, given, output: seen.append(given[0] if entering else output)
    )
    with torch.no_grad():
        net.eval()(x)
    hook.remove()
    return seen[-1]


def input_of(net: nn.Module, clip: nlviz.Clip, spec: InputSpec | None = None) -> Tensor:
    return Model(net, input_spec=spec).prepared(clip).tensor


def conv(x: Tensor) -> Tensor:
    return x.transpose(0, 1)


def channels_last(x: Tensor) -> Tensor:
    return x.permute(3, 0, 1, 2)


def tokens(h: int, w: int, prefix: int = 0) -> Callable[[Tensor], Tensor]:
    return lambda x: x[:, prefix:].unflatten(1, (h, w)).permute(3, 0, 1, 2)


def swin() -> nn.Module:
    torch.manual_seed(0)
    return SwinTransformer([4, 4], 12, [2, 2], [2, 3], [3, 3], num_classes=4).eval()


def vit() -> nn.Module:
    torch.manual_seed(0)
    net = VisionTransformer(24, 4, 2, 3, 18, 20, num_classes=5)
    nn.init.normal_(net.heads.head.weight)
    return net.eval()


LAYER = {
    **dict.fromkeys(("timesformer", "videomae", "v-jepa-2"), "encoder.layer.1"),
    "swin": "encoder.layers.0.blocks.1",
}
SPEC = InputSpec(sides=(20, 28), layout="frames")
PICTURES: dict[str, tuple[Callable[[], nn.Module], str, Callable[[Tensor], Tensor], InputSpec]] = {
    "a stage of a ResNet": (
        lambda: timm.create_model("resnet10t"),
        "layer2",
        conv,
        InputSpec(size=64, layout="frames"),
    ),
    "channels last, a stage": (swin, "features.1", channels_last, SPEC),
    "channels last, shifted windows": (swin, "features.1.1", channels_last, SPEC),
    "channels last in a block": (
        lambda: timm.create_model("test_convnext"),
        "stages.1.blocks.0.mlp.fc1",
        channels_last,
        InputSpec(size=64, layout="frames"),
    ),
    "tokens behind a class token": (
        vit,
        "encoder.layers.encoder_layer_1",
        tokens(6, 6, 1),
        InputSpec(sides=(24, 24), layout="frames"),
    ),
}


@pytest.mark.parametrize("name", PICTURES)
def test_features_are_what_a_hook_sees(name: str) -> None:
    build, layer, laid_out, spec = PICTURES[name]
    net, clip = build().eval(), noise_clip(3, 40, 56)
    found = features(net, clip, layer, input_spec=spec)
    x = Model(net, adapter=adapter_of_any(net), input_spec=spec).prepared(clip)
    expected = laid_out(by_hook(net, x.tensor, layer))
    assert torch.equal(found.values, expected)
    assert found.grid.stride[1:] == pytest.approx((40 / expected.shape[2], 56 / expected.shape[3]))


def test_windows_are_put_back_in_their_places() -> None:
    """What enters the attention of a shifted window comes rolled, in windows, with padding."""
    net, clip = swin(), noise_clip(2, 20, 28)
    found = features(net, clip, "features.1.1.attn", side="input", input_spec=SPEC)
    before = by_hook(net, input_of(net, clip, SPEC), "features.1.1.norm1")
    assert torch.equal(found.values, channels_last(before))
    assert found.grid.shape == (2, 5, 7)


def test_tokens_without_a_place_come_apart() -> None:
    clip, spec = noise_clip(3, 40, 56), InputSpec(sides=(24, 24), layout="frames")
    net = vit()
    layer = "encoder.layers.encoder_layer_0"
    found = features(net, clip, layer, input_spec=spec)
    seen = by_hook(net, input_of(net, clip, spec), layer)
    assert found.apart is not None and torch.equal(found.apart, seen[:, 0])
    assert found.token_names == ("cls",) * 3
    row = found.cosine().map(token="cls", frame=2).weights
    cosines = torch.cosine_similarity(seen[2, :1], seen[:, 1:].flatten(0, 1))
    np.testing.assert_allclose(row.ravel(), cosines, atol=1e-6)


@pytest.mark.parametrize("kind", ["videomae", "timesformer", "v-jepa-2", "beit", "swin"])
def test_networks_of_transformers(kind: str) -> None:
    """Tubelets of two frames, patches ahead of frames, and a tuple for what is returned."""
    torch.manual_seed(0)
    net = BUILT[kind]().eval()
    clip = noise_clip(6 if kind in ("videomae", "v-jepa-2") else 3, 40, 56)
    layer = LAYER.get(kind, "layers.1")
    model = Model(net)
    found = features(model, clip, layer)
    full, _ = layer_named(model.net, layer)
    prepared = model.prepared(clip)
    seen: list[Any] = []
    hook = net.get_submodule(full).register_forward_hook(lambda _, a, out: seen.append(out))
    with torch.no_grad():
        prepared.call(net, prepared.tensor)
    hook.remove()
    x = seen[0][0] if isinstance(seen[0], tuple) else seen[0]
    t, h, w = found.grid.shape
    x = x[:, x.shape[1] - (t * h * w if len(x) == 1 else h * w) :]
    if kind == "timesformer":  # its tokens are places, each with its frames side by side
        expected = x[0].unflatten(0, (h, w, t)).permute(3, 2, 0, 1)
    elif len(x) == 1:
        expected = x[0].unflatten(0, (t, h, w)).permute(3, 0, 1, 2)
    else:
        expected = x.unflatten(1, (h, w)).permute(3, 0, 1, 2)
    assert torch.equal(found.values, expected)


def test_similarity_reaches_other_frames_where_attention_does_not() -> None:
    """An object that moves by a cell in each frame is the most alike to itself."""
    rng = np.random.default_rng(0)
    first = rng.integers(0, 256, (20, 28, 3), np.uint8)
    clip = nlviz.Clip.from_frames(rng.integers(0, 256, (3, 20, 28, 3), np.uint8))
    frames = clip.frames.copy()
    for t in range(3):
        frames[t, 8:12, 4 * t + 4 : 4 * t + 8] = first[:4, :4]
    clip = nlviz.Clip.from_frames(frames)
    net = nn.Sequential(nn.Conv2d(3, 9, 4, 4), nn.ReLU())
    torch.manual_seed(0)
    nn.init.normal_(net[0].weight)
    found = features(net, clip, "1", input_spec=SPEC).cosine()
    row = found.map(frame=0, y=10, x=6).weights
    for t in range(3):
        assert np.unravel_index(row[t].argmax(), row[t].shape) == (2, 1 + t)


def test_convolutions_in_time_with_strides() -> None:
    net = nn.Sequential(
        nn.Conv3d(3, 5, (3, 5, 5), (2, 4, 4), (1, 2, 2)), nn.ReLU(), nn.Conv3d(5, 7, 1)
    )
    clip = noise_clip(6, 40, 56)
    spec = InputSpec(sides=(40, 56), layout="clip")
    found = features(net, clip, "2", input_spec=spec)
    x = Model(net, adapter=adapter_of_any(net), input_spec=spec).prepared(clip)
    assert torch.equal(found.values, by_hook(net, x.tensor, "2")[0])
    assert found.grid.stride == (2, 4, 4) and found.grid.origin == (0, 0, 0)


class TokensFirst(nn.Module):
    """A transformer that takes (tokens, batch, channels), behind overlapping patches."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.patch = nn.Conv2d(3, 12, 6, 4)
        self.layer = nn.TransformerEncoderLayer(12, 3, 14)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch(x).flatten(2).permute(2, 0, 1)
        return self.layer(x).mean(0)


def test_tokens_ahead_of_the_batch() -> None:
    net, clip = TokensFirst().eval(), noise_clip(3, 22, 30)
    spec = InputSpec(sides=(22, 30), layout="frames")
    found = features(net, clip, "layer", input_spec=spec)
    seen = by_hook(net, input_of(net, clip, spec), "layer")
    expected = seen.unflatten(0, (5, 7)).permute(3, 2, 0, 1)
    torch.testing.assert_close(found.values, expected, atol=1e-6, rtol=1e-5)
    assert found.grid.origin == (0, 2.5, 2.5)


@dataclass
class Returned:
    score: float
    hidden: Tensor


class Several(nn.Module):
    """A stage in each form of a return, run twice, and once for each frame."""

    def __init__(self, form: str) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 4, 4)
        self.stage = Stage(form)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        if self.stage.form == "frames":
            return torch.cat([self.stage(x[t : t + 1]) for t in range(len(x))]).mean((2, 3))
        for _ in range(2 if self.stage.form == "twice" else 1):
            returned = self.stage(x)
            x = returned if isinstance(returned, Tensor) else x
        return x.mean((2, 3))


class Stage(nn.Module):
    def __init__(self, form: str) -> None:
        super().__init__()
        self.form, self.conv = form, nn.Conv2d(6, 6, 3, padding=1)

    def forward(self, x: Tensor) -> Any:
        y = self.conv(x)
        if self.form == "dict":
            return {"mask": None, "low": y, "high": y[:, :, ::2]}
        if self.form == "dataclass":
            return Returned(1.0, y)
        return (y, 3) if self.form == "tuple" else y


@pytest.mark.parametrize("form", ["dict", "dataclass", "tuple", "frames"])
def test_whatever_a_layer_returns(form: str) -> None:
    torch.manual_seed(0)
    net, clip = Several(form).eval(), noise_clip(3, 20, 28)
    found = features(net, clip, "stage", input_spec=SPEC)
    stem = features(net, clip, "stem", input_spec=SPEC)
    with torch.no_grad():
        expected = conv(net.stage.conv(conv(stem.values)))
    torch.testing.assert_close(found.values, expected, atol=1e-5, rtol=1e-5)
    if form == "dict":
        assert "part= takes another" in found.note
        high = features(net, clip, "stage", part="high", input_spec=SPEC)
        assert torch.equal(high.values, found.values[:, :, ::2])
        assert high.grid.stride == (1, 8, 4)
    if form == "frames":
        assert "3 times, each time on another part of the clip" in found.note


def test_a_layer_that_runs_twice() -> None:
    torch.manual_seed(0)
    net, clip = Several("twice").eval(), noise_clip(3, 20, 28)
    first = features(net, clip, "stage", input_spec=SPEC)
    second = features(net, clip, "stage#2", input_spec=SPEC)
    with torch.no_grad():
        expected = conv(net.stage.conv(conv(first.values)))
    torch.testing.assert_close(second.values, expected, atol=1e-5, rtol=1e-5)
    assert (first.name, second.name) == ("stage", "stage#2") and "run 1" in first.note
    with pytest.raises(NlvizError, match="run 3 of stage must happen, it ran 2 times"):
        features(net, clip, "stage#3", input_spec=SPEC)


def test_half_precision_and_a_network_left_as_it_was() -> None:
    net, clip = Several("plain").bfloat16().train(), noise_clip(3, 20, 28)
    found = features(net, clip, "stage", input_spec=SPEC)
    assert found.values.dtype == torch.float32 and net.training
    assert not net.stage._forward_hooks and not net.stage._forward_pre_hooks


def test_a_vector_for_each_frame_says_so_and_one_for_all_is_refused() -> None:
    pooled = nn.Sequential(nn.Conv2d(3, 5, 4, 4), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    found = features(pooled, noise_clip(3, 20, 28), "2", input_spec=SPEC)
    assert found.grid.shape == (3, 1, 1) and "one vector for each frame" in found.note
    with pytest.raises(NlvizError, match="one vector for the whole clip"):
        features(pooled, noise_clip(1, 20, 28), "2", input_spec=SPEC)
    with pytest.raises(NlvizError, match="nothing that it computes has a place"):
        features(
            vit(),
            noise_clip(2, 24, 24),
            "heads",
            input_spec=InputSpec(sides=(24, 24), layout="frames"),
        )


class Mixing(nn.Module):
    """Places mixed by fixed weights, and a coarse branch that is joined with a fine one."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, 6, 4, 4)
        self.mix = nn.Linear(35, 35)
        self.mixed, self.joined = nn.Identity(), nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch(x)
        tokens = x.flatten(2)
        tokens = self.mixed((tokens + self.mix(tokens)).mT)
        coarse = nn.functional.avg_pool2d(x, 3, 2, 1)
        fine = nn.functional.interpolate(coarse, size=x.shape[2:])
        return self.joined(x + fine).mean((2, 3)) + tokens.mean(1)


def test_cells_that_are_means_over_places_keep_their_order_and_say_so() -> None:
    net, clip = Mixing().eval(), noise_clip(2, 20, 28)
    mixed = features(net, clip, "mixed", input_spec=SPEC)
    seen = by_hook(
        net, Model(net, adapter=adapter_of_any(net), input_spec=SPEC).prepared(clip).tensor, "mixed"
    )
    assert torch.equal(mixed.values, tokens(5, 7)(seen))
    assert mixed.grid.stride == (1, 4, 4) and "a mean over several places" in mixed.note
    joined = features(net, clip, "joined", input_spec=SPEC)
    assert joined.grid.shape == (2, 5, 7)  # none of them is taken for padding


def test_names_of_layers() -> None:
    net = vit()
    assert layer_named(net, "encoder_layer_1") == ("encoder.layers.encoder_layer_1", None)
    with pytest.raises(UnknownBlock, match="no layer is called 'encoder_layer_7'; did you mean"):
        layer_named(net, "encoder_layer_7")
    with pytest.raises(UnknownBlock, match="ends those of"):
        layer_named(net, "ln_1")
    with pytest.raises(NlvizError, match="side must be"):
        features(net, noise_clip(1, 24, 24), "conv_proj", side="inside")  # type: ignore[arg-type]


@pytest.mark.parametrize("build", [frame_net, clip_net])
def test_what_entered_a_block_is_what_its_capture_kept(build: Callable[[], nn.Module]) -> None:
    net, clip = build(), noise_clip(4, 32, 48)
    model = Model(net)
    capture = model.capture(clip)
    for block, kept in capture.features.items():
        name = next(n for n, m in net.named_modules() if m is capture.blocks[block])
        found = features(model, clip, name, side="input")
        assert torch.equal(found.values, kept)
        assert found.grid == capture.affinities[block].queries
        bare = replace(capture, features={})
        assert torch.equal(with_features(model, bare, [block]).features[block], kept)


def test_features_join_a_capture_of_watched_attention() -> None:
    net, clip = swin(), noise_clip(2, 20, 28)
    model = Model(net, input_spec=SPEC)
    capture = model.capture(clip)
    assert not capture.features
    block = list(capture.affinities)[1]
    joined = with_features(model, capture, [block])
    assert joined.features[block].shape == (12, *capture.affinities[block].queries.shape)
    assert joined.affinities is capture.affinities
    assert with_features(model, joined, [block]).features[block] is joined.features[block]
