"""Attribution finds what a network's answer depends on, and agreement knows chance."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
from captum.attr import LayerGradCam
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from nlviz.analysis.attribution import METHODS, attribution, windows
from nlviz.captures.model import Model
from nlviz.clips.clip import Clip
from nlviz.errors import NlvizError, OutOfMemory, UnknownBlock
from nlviz.networks.block import NonLocalBlock
from tests.nets import CLIPS, FRAMES, awake, clip_net, frame_net, noise_clip


class Red(nn.Module):
    """Class 2 is how red one region of frame 1 is: rows 16 to 31, columns 32 to 47."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv3d(3, 2, (1, 4, 4), stride=(1, 4, 4))
        self.nl = NonLocalBlock(2, dimension=3)  # the identity when fresh
        with torch.no_grad():
            red_less_blue = torch.tensor([[1.0, 0, -1], [-1, 0, 1]]) / 16
            self.stem.weight.copy_(red_less_blue[..., None, None, None].expand(2, 3, 1, 4, 4))
            self.stem.bias.zero_()

    def forward(self, x: Tensor) -> Tensor:
        red, blue = self.nl(self.stem(x).relu()).unbind(1)
        return torch.stack(
            [blue.mean((1, 2, 3)), -red.mean((1, 2, 3)), red[:, 1, 4:8, 8:12].mean((1, 2)) ** 2],
            1,
        )


def red_and_blue() -> Clip:
    """Return a clip with a red patch in the region and a blue one in another frame."""
    frames = np.random.default_rng(0).integers(100, 140, (3, 32, 64, 3)).astype(np.uint8)
    frames[1, 16:32, 32:48] = (250, 90, 10)
    frames[0, 0:16, 0:16] = (10, 90, 250)
    return Clip.from_frames(frames)


@pytest.mark.parametrize("method", [m for m in METHODS if m != "legrad"])  # of rows, not pixels
def test_it_lies_where_the_answer_comes_from(method: str) -> None:
    model = Model(Red().eval(), input_spec=CLIPS)
    found = attribution(model, red_and_blue(), method=method, target=2, steps=3 * 2 * 4)
    inside = total = 0.0
    for index, value in enumerate(np.abs(found.values.ravel())):
        frame, y, x = found.grid.centre(index)
        total += value
        inside += value * (frame == 1 and 16 <= y < 32 and 32 <= x < 48)
    # Grad-CAM takes a channel wherever it is strong; the noise has some red, too.
    assert inside / total > (0.999 if method != "grad-cam" else 0.75)
    assert found.score == pytest.approx(float(model.capture(found.clip).logits[2]))
    if method != "grad-cam":
        blue = attribution(model, red_and_blue(), method=method, target=0, steps=3 * 2 * 4)
        frame, y, x = blue.grid.centre(int(blue.values.argmax()))
        assert (frame, y < 16, x < 16) == (0, True, True)


def test_grad_cam_is_the_mean_gradient_of_each_channel_times_the_channel() -> None:
    net = clip_net()
    model, clip = Model(net, input_spec=CLIPS), noise_clip(6, 48, 80)
    found = attribution(model, clip, target=3)
    x = model.adapter.prepare(net, clip, CLIPS).tensor
    features = net.stem(x).detach().requires_grad_()
    rest = net.head(net.norm(net.nl(features)).mean((2, 3, 4)))
    (gradient,) = torch.autograd.grad(rest[0, 3], features)
    want = torch.einsum("c,cthw->thw", gradient[0].mean((1, 2, 3)), features[0].detach())
    assert found.values.shape == tuple(want.shape) == found.grid.shape
    np.testing.assert_allclose(found.values, want.numpy(), rtol=1e-4, atol=1e-6)
    captum = LayerGradCam(net, net.nl).attribute(
        x.requires_grad_(), target=3, attribute_to_layer_input=True
    )
    np.testing.assert_allclose(found.values, captum[0, 0].detach().numpy(), rtol=1e-4, atol=1e-6)


def test_grad_cam_of_a_batch_of_frames() -> None:
    net = frame_net()
    model, clip = Model(net, input_spec=FRAMES), noise_clip(3, 32, 48)
    found = attribution(model, clip, target=1)
    (block,) = (m for m in net.modules() if isinstance(m, NonLocalBlock))
    kept: list[Tensor] = []

    def keep(_: nn.Module, args: tuple[Tensor]) -> None:
        args[0].retain_grad()
        kept.append(args[0])

    handle = block.register_forward_pre_hook(keep)
    x = model.adapter.prepare(net, clip, FRAMES).tensor
    net(x).mean(0)[1].backward()
    handle.remove()
    (seen,) = kept  # (1, channels, frames, h, w): the block sees all frames at once
    want = (seen.grad[0].mean((1, 2, 3), keepdim=True) * seen[0]).sum(0).detach()
    np.testing.assert_allclose(found.values, want.numpy(), rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("layout", ["clip", "frames"])
def test_integrated_gradients_add_up_to_the_score(layout: str) -> None:
    net, spec = (clip_net(), CLIPS) if layout == "clip" else (frame_net(), FRAMES)
    model, clip = Model(net, input_spec=spec), noise_clip(4, 36, 50, seed=2)
    told: list[float] = []
    found = attribution(
        model, clip, method="integrated-gradients", target=4, steps=64,
        progress=lambda _, share: told.append(share),
    )  # fmt: skip
    with torch.no_grad():
        x = model.adapter.prepare(net, clip, spec).tensor
        score, grey = (float(net(t).mean(0)[4]) for t in (x, torch.zeros_like(x)))
    assert found.passes == 65
    assert found.baseline == pytest.approx(grey, abs=1e-5)
    assert found.score == pytest.approx(score, abs=1e-5)
    assert abs(found.gap) < 0.02 * abs(score - grey)
    assert found.values.sum() == pytest.approx(score - grey, abs=0.02 * abs(score - grey))
    assert found.grid.shape == model.capture(clip).affinities[found.block].queries.shape
    assert told == sorted(told) and 0 <= told[0] and told[-1] <= 1


@pytest.mark.parametrize("layout", ["clip", "frames"])
def test_occlusion_is_the_plain_loop(layout: str) -> None:
    net, spec = (clip_net(), CLIPS) if layout == "clip" else (frame_net(), FRAMES)
    model, clip = Model(net, input_spec=spec), noise_clip(5, 32, 57)
    found = attribution(model, clip, method="occlusion", target=0, steps=30)
    x = model.adapter.prepare(net, clip, spec).tensor
    frames = x[0].transpose(0, 1) if layout == "clip" else x
    t, _, h, w = frames.shape
    kt, ky, kx = windows((t, h, w), most=30)
    assert found.passes <= 31
    assert (t % kt, w % kx) != (0, 0)  # the last windows reach beyond the end
    want = np.zeros((-(-t // kt), -(-h // ky), -(-w // kx)), np.float32)
    with torch.no_grad():
        full = net(x).mean(0)[0]
        for a, b, c in np.ndindex(*want.shape):
            hidden = frames.clone()
            hidden[a * kt : (a + 1) * kt, :, b * ky : (b + 1) * ky, c * kx : (c + 1) * kx] = 0
            again = hidden.transpose(0, 1)[None] if layout == "clip" else hidden
            want[a, b, c] = full - net(again).mean(0)[0]
    np.testing.assert_allclose(found.values, want, atol=2e-6)
    # A cell's box is its window, in pixels of the clip.
    zoom = clip.shape[1] / h
    top, left, _, _ = found.grid.box(found.grid.size - 1)
    assert top == pytest.approx((want.shape[1] - 1) * ky * zoom, abs=1e-3)
    assert left == pytest.approx((want.shape[2] - 1) * kx * clip.shape[2] / w, abs=1e-3)


@pytest.mark.parametrize("method", METHODS)
def test_the_network_is_left_as_it_was(method: str) -> None:
    net = frame_net()
    net.train()
    net.layer1[0].eval()
    net.head.bias.requires_grad_(False)
    modes = {n: m.training for n, m in net.named_modules()}
    flags = {n: p.requires_grad for n, p in net.named_parameters()}
    weights = {n: p.clone() for n, p in net.state_dict().items()}
    hooks = [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in net.modules()]
    model = Model(net, input_spec=FRAMES)
    shot = model.capture(noise_clip(2, 32, 48))

    def stop(sentence: str, share: float) -> None:
        raise KeyboardInterrupt(sentence)

    attribution(model, shot, method=method, steps=5)
    with pytest.raises(KeyboardInterrupt):
        attribution(model, shot, method=method, steps=5, progress=stop)
    assert {n: m.training for n, m in net.named_modules()} == modes
    assert {n: p.requires_grad for n, p in net.named_parameters()} == flags
    assert all(p.grad is None for p in net.parameters())
    assert all(torch.equal(p, weights[n]) for n, p in net.state_dict().items())
    now = [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in net.modules()]
    assert now == hooks
    assert torch.is_grad_enabled()
    model.capture(noise_clip(2, 32, 48))  # the lock is free


def test_two_threads_take_turns() -> None:
    model = Model(frame_net(), input_spec=FRAMES)
    clips = [noise_clip(2, 32, 48, seed=i) for i in range(4)]
    want = [attribution(model, clip, target=1).values for clip in clips]
    got: dict[int, list[np.ndarray]] = {i: [] for i in range(4)}

    def visit(i: int) -> None:
        got[i] = [attribution(model, clips[i], target=1).values for _ in range(10)]

    threads = [threading.Thread(target=visit, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i in range(4):
        assert len(got[i]) == 10
        assert all(np.array_equal(values, want[i]) for values in got[i])


def test_classes_by_name_and_what_cannot_be_explained() -> None:
    model = Model(clip_net(), input_spec=CLIPS, labels=("ant", "bee", "cat", "dog", "elk"))
    shot = model.capture(noise_clip(4))
    by_name = attribution(model, shot, target="cat")
    assert (by_name.target, by_name.label) == (2, "cat")
    best = attribution(model, shot)
    assert best.target == int(shot.logits.argmax())
    for wrong, told in (("cta", "did you mean 'cat'"), (5, "between 0 and 4"), (-1, "got -1")):
        with pytest.raises(NlvizError, match=told):
            attribution(model, shot, target=wrong)
    with pytest.raises(UnknownBlock):
        attribution(model, shot, block="stage9")
    with pytest.raises(NlvizError, match="legrad; got 'gradcam'"):
        attribution(model, shot, method="gradcam")
    with pytest.raises(NlvizError, match="steps must be between"):
        attribution(model, shot, method="occlusion", steps=0)
    features = nn.Sequential(nn.Conv3d(3, 4, 3, stride=4), NonLocalBlock(4, dimension=3))
    with pytest.raises(NlvizError, match="one score per class"):
        attribution(Model(awake(features), input_spec=CLIPS), noise_clip(4))


def test_windows_cover_the_clip_and_stay_within_the_passes() -> None:
    for shape in ((1, 32, 48), (3, 224, 398), (32, 256, 256), (8, 17, 5)):
        for most in (1, 7, 96, 500):
            window = windows(shape, most=most)
            counts = [-(-n // k) for n, k in zip(shape, window, strict=True)]
            assert all(1 <= k <= n for k, n in zip(window, shape, strict=True))
            assert np.prod(counts) <= most


@pytest.mark.parametrize("block", ["blocks.0", "blocks.1"])
def test_grad_cam_of_a_transformer_leaves_tokens_without_a_place_out(block: str) -> None:
    torch.manual_seed(0)
    net = VisionTransformer(
        img_size=(32, 48), patch_size=8, embed_dim=12, depth=2, num_heads=3, num_classes=5,
        reg_tokens=2,
    ).eval()  # fmt: skip
    model = Model(net, input_spec=FRAMES)
    found = attribution(model, noise_clip(1, 32, 48), block=block, target=3)
    module, kept = model.adapter.blocks(net)[block], []

    def keep(_: nn.Module, args: tuple[Tensor]) -> None:
        args[0].retain_grad()
        kept.append(args[0])

    handle = module.register_forward_pre_hook(keep)
    x = model.adapter.prepare(net, found.clip, FRAMES).tensor
    net(x)[0, 3].backward()
    handle.remove()
    (seen,) = kept  # (1, class token and registers and patches, channels)
    patches, gradient = seen[0, 3:], seen.grad[0, 3:]
    want = (patches * gradient.mean(0)).sum(1).reshape(1, 4, 6)
    assert found.grid.shape == (1, 4, 6) and found.grid.prefix == 0
    np.testing.assert_allclose(found.values, want.detach().numpy(), rtol=1e-4, atol=1e-7)


def test_features_from_elsewhere_are_not_taken_for_gradients(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = Model(clip_net(), input_spec=CLIPS)
    shot = model.capture(noise_clip())
    elsewhere = shot.features["nl"]
    monkeypatch.setattr(type(model.adapter), "features", lambda *_: elsewhere)
    with pytest.raises(NlvizError, match="elsewhere than its first argument"):
        attribution(model, shot)


def test_too_little_memory_for_gradients_is_told_first(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Model(clip_net(), input_spec=CLIPS)
    shot = model.capture(noise_clip())
    shape = tuple(model.adapter.prepare(model.net, shot.clip, CLIPS).tensor.shape)
    plain, whole = (model.estimate(shape, gradient=g).need for g in (False, True))
    monkeypatch.setattr("nlviz.captures.model.free_bytes", lambda _: (plain + whole) // 2)
    with pytest.raises(OutOfMemory, match="a pass over 4 frames"):
        attribution(model, shot, method="integrated-gradients")
    assert attribution(model, shot, method="occlusion", steps=4).passes <= 5
