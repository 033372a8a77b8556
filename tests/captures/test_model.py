"""One forward pass: what it gives, and that the network is left as it was."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import nlviz
from nlviz.captures.model import About, Model
from nlviz.captures.your_network import capture
from nlviz.errors import (
    BlockRefused,
    NlvizError,
    NoNonLocalBlocks,
    OutOfMemory,
    OutsideClip,
    UnknownBlock,
)
from nlviz.families.reading.adapter import InputSpec
from nlviz.networks.insert import insert
from nlviz.networks.lite_nl import LiteNL
from tests.nets import CLIPS, FRAMES, FrameNet, awake, clip_net, frame_net, noise_clip

NAMES = ("gaussian", "embedded_gaussian", "dot_product", "concatenation")


def state(net: nn.Module) -> tuple[object, ...]:
    """Everything about a network that a capture might change."""
    return (
        [(n, m.training) for n, m in net.named_modules()],
        [(len(m._forward_hooks), len(m._forward_pre_hooks)) for m in net.modules()],
        [(n, p.requires_grad, p.grad is None, p.sum().item()) for n, p in net.named_parameters()],
        [(n, b.double().sum().item()) for n, b in net.named_buffers()],
        sorted(vars(net)),
    )


@pytest.mark.parametrize("training", [True, False])
def test_capture_leaves_the_network_as_it_was(training: bool) -> None:
    net = clip_net().train(training)
    net.norm.eval()  # modes of its own
    net.stem.weight.requires_grad_(False)
    before = state(net)
    capture(net, noise_clip(), input_spec=CLIPS)
    assert state(net) == before
    assert torch.is_grad_enabled()


def test_capture_leaves_the_network_as_it_was_after_an_exception() -> None:
    net = clip_net().train()
    net.norm.eval()

    def fail(module: nn.Module, args: object) -> None:
        raise RuntimeError("the network broke")

    model = Model(net, input_spec=CLIPS)
    handle = net.head.register_forward_pre_hook(fail)
    before = state(net)
    with pytest.raises(RuntimeError, match="the network broke"):
        model.capture(noise_clip())
    assert state(net) == before
    handle.remove()
    assert model.capture(noise_clip()).logits is not None  # and the lock is free


def test_capture_runs_in_eval_mode() -> None:
    net = frame_net().train()
    one, two = (capture(net, noise_clip(), input_spec=FRAMES) for _ in range(2))
    assert torch.equal(one.logits, two.logits)  # no dropout


@pytest.mark.parametrize("pairwise", NAMES)
@pytest.mark.parametrize("options", [{}, {"pool": 2}, {"pool": 2, "pool_first": False}])
def test_rows_times_values_are_the_blocks_own_output(
    pairwise: str, options: dict[str, bool | int]
) -> None:
    net = clip_net(pairwise=pairwise, scale=True, **options)
    affinity = capture(net, noise_clip(), input_spec=CLIPS).affinities["nl"]
    torch.testing.assert_close(affinity.dense() @ affinity.values, affinity.output)
    assert affinity.parity_error() < 1e-5
    assert affinity.keys.size == affinity.values.shape[1]


@pytest.mark.parametrize("pairwise", NAMES)
def test_frames_of_a_batch_that_a_block_sees_together(pairwise: str) -> None:
    net = frame_net(pairwise)
    affinity = capture(net, noise_clip(), input_spec=FRAMES).affinities["layer1"]
    assert affinity.queries.shape == (4, 8, 12)
    assert affinity.parity_error() < 1e-5
    assert affinity.map(frame=0, y=0, x=0).per_frame().astype(bool).all() or (
        pairwise == "concatenation"
    )


@pytest.mark.parametrize("pairwise", NAMES)
def test_frames_of_a_batch_that_a_block_sees_one_by_one(pairwise: str) -> None:
    net = frame_net(pairwise, across_frames=False, pool=2)
    affinity = capture(net, noise_clip(), input_spec=FRAMES).affinities["layer1"]
    assert affinity.queries.shape == (4, 8, 12)
    assert affinity.keys.shape == (4, 4, 6)
    assert affinity.parity_error() < 1e-5
    attention = affinity.map(frame=2, y=20, x=20)
    assert attention.reachable.any((1, 2)).tolist() == [False, False, True, False]
    assert attention.weights[[0, 1, 3]].any() == False  # noqa: E712 a numpy bool


def test_a_block_over_time_alone_lies_along_time() -> None:
    class Pooled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Conv3d(3, 8, (1, 4, 4), stride=(1, 4, 4))
            self.time = nlviz.NonLocalBlock(8, dimension=1)

        def forward(self, x: Tensor) -> Tensor:
            return self.time(self.stem(x).mean((-1, -2))).mean(-1)

    found = capture(awake(Pooled()), noise_clip(6, 32, 32), input_spec=CLIPS)
    affinity = found.affinities["time"]
    assert affinity.queries.shape == (6, 1, 1)
    assert affinity.queries.centre(2) == pytest.approx((2, 15.5, 15.5))
    assert affinity.parity_error() < 1e-5
    assert found.features["time"].shape == (8, 6, 1, 1)


def test_a_picture_is_a_clip_of_one_frame() -> None:
    found = capture(frame_net(), noise_clip(1), input_spec=FRAMES)
    assert found.affinities["layer1"].queries.shape == (1, 8, 12)
    assert found.features["layer1"].shape == (8, 1, 8, 12)


def test_features_are_what_entered_the_block() -> None:
    net = clip_net()
    seen: list[Tensor] = []
    net.nl.register_forward_pre_hook(lambda m, args: seen.append(args[0]))
    found = capture(net, noise_clip(), input_spec=CLIPS)
    assert torch.equal(
        found.features["nl"], seen[-1][0]
    )  # hooks see positions first, then the pass that counts


def test_logits_and_prediction_are_the_networks_own() -> None:
    net = clip_net()
    model = Model(net, labels=tuple("abcde"), input_spec=CLIPS)
    found = model.capture(noise_clip())
    prepared = model.adapter.prepare(net, noise_clip(), CLIPS)
    with torch.no_grad():
        want = net(prepared.tensor)[0]
    torch.testing.assert_close(found.logits, want)
    top = found.prediction(3)
    assert top[0][0] == "abcde"[int(want.argmax())]
    assert [p for _, p in top] == sorted((p for _, p in top), reverse=True)
    assert sum(p for _, p in found.prediction(99)) == pytest.approx(1)


def test_what_is_captured_does_not_follow_the_network() -> None:
    net = frame_net("gaussian")
    found = capture(net, noise_clip(), input_spec=FRAMES)
    affinity = found.affinities["layer1"]
    kept = affinity.theta.clone(), affinity.rows([3])
    with torch.no_grad():
        for p in net.parameters():
            p.zero_()
    capture(net, noise_clip(seed=1), input_spec=FRAMES)
    assert torch.equal(affinity.theta, kept[0])
    assert torch.equal(affinity.rows([3]), kept[1])


def test_captures_cannot_be_changed() -> None:
    found = capture(frame_net(), noise_clip(), input_spec=FRAMES)
    with pytest.raises(AttributeError):
        found.logits = None  # type: ignore[misc]
    with pytest.raises(TypeError):
        found.features["layer1"] = None  # type: ignore[index]


def test_unknown_blocks_are_answered_with_the_known_ones() -> None:
    found = capture(frame_net(), noise_clip(), input_spec=FRAMES).affinities
    with pytest.raises(UnknownBlock, match="no block is called 'layer2'; did you mean 'layer1'"):
        found["layer2"]
    assert found.get("layer2") is None
    assert "layer2" not in found
    assert list(found) == ["layer1"]
    assert len(found) == 1


def test_queries_outside_the_clip_are_refused() -> None:
    affinity = capture(frame_net(), noise_clip(), input_spec=FRAMES).affinities["layer1"]
    assert affinity.map(frame=3, y=47, x=63).weights.shape == (4, 8, 12)
    with pytest.raises(OutsideClip, match="frame must be between 0 and 3"):
        affinity.map(frame=4, y=0, x=0)
    with pytest.raises(OutsideClip, match="x must be between 0 and 63"):
        affinity.map(frame=0, y=0, x=64)


def test_a_network_without_affinities_is_told_what_to_do() -> None:
    with pytest.raises(NoNonLocalBlocks, match=r"FrameNet has none.*nlviz\.insert"):
        capture(FrameNet(), noise_clip())
    with pytest.raises(NlvizError, match="no family is called 'lite'; did you mean 'lite-nl'"):
        capture(FrameNet(), noise_clip(), family="lite")


def test_a_block_that_the_forward_pass_skips_is_named() -> None:
    net = frame_net()
    net.unused = nlviz.NonLocalBlock(8)
    found = capture(net, noise_clip(), input_spec=FRAMES)
    assert list(found.affinities) == ["layer1"]
    assert found.refused == {"unused": "unused was not called in this forward pass"}
    with pytest.raises(BlockRefused, match="unused was not called"):
        found.affinities["unused"]
    alone = FrameNet().eval()
    alone.unused = nlviz.NonLocalBlock(8)
    with pytest.raises(NlvizError, match="did not reach the blocks unused"):
        capture(alone, noise_clip(), input_spec=FRAMES)


@pytest.mark.parametrize(
    "error",
    [
        lambda: torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB"),
        lambda: MemoryError(),
        lambda: RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: you tried"),
        lambda: RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"),
    ],
)
def test_too_little_memory_is_one_sentence(error: Callable[[], Exception]) -> None:
    net = clip_net()

    def fail(module: nn.Module, args: object) -> None:
        raise error()

    net.head.register_forward_pre_hook(fail)
    with pytest.raises(OutOfMemory, match=r"cpu has too little memory for 4 frames of 64x48 px"):
        capture(net, noise_clip(), input_spec=CLIPS)


def test_a_capture_can_be_cancelled_between_its_stages() -> None:
    model = Model(clip_net(), input_spec=CLIPS)
    before = state(model.net)
    told: list[str] = []

    def stop(sentence: str, share: float) -> None:
        told.append(sentence)
        if share > 0.1:
            raise InterruptedError("stopped")

    with pytest.raises(InterruptedError):
        model.capture(noise_clip(), progress=stop)
    assert state(model.net) == before
    assert model.capture(noise_clip()).logits is not None
    assert told == ["Preparing the input", "Running the network"]


def test_models_tell_their_blocks_and_device() -> None:
    model = Model(LiteNL(), about=About("mine", "nothing yet"))
    assert model.blocks == ("stage3", "stage4")
    assert repr(model) == "Model(mine, stage3, stage4, on cpu)"


def test_tokens_lie_where_a_bright_square_lights_them() -> None:
    """Move a square over the clip: the cell that answers most is the one nearest to it."""
    net = FrameNet().eval()
    insert(net, after="layer1")
    for conv in (net.stem[0], net.layer1[0]):
        nn.init.constant_(conv.weight, 0.1)
        nn.init.zeros_(conv.bias)
    spec = InputSpec(size=96, multiple=32, layout="frames")
    for y, x in ((20, 30), (101, 87), (60, 200)):
        pixels = np.zeros((1, 144, 240, 3), np.uint8)
        pixels[0, y - 6 : y + 7, x - 6 : x + 7] = 255
        found = capture(net, nlviz.Clip.from_frames(pixels), input_spec=spec)
        energy = found.features["layer1"].sum(0).clamp(min=0)
        at = energy / energy.sum()
        queries = found.affinities["layer1"].queries
        centres = np.array([queries.centre(i) for i in range(queries.size)])
        _, cy, cx = (at.numpy().reshape(-1, 1) * centres).sum(0)
        assert (cy, cx) == (pytest.approx(y, abs=1.5), pytest.approx(x, abs=1.5))


@pytest.mark.parametrize("training", [True, False])
def test_logits_without_a_block_are_those_of_the_network_without_it(training: bool) -> None:
    net = clip_net().train(training)
    model = Model(net, input_spec=CLIPS)
    before = state(net)
    whole, without = model.logits(noise_clip()), model.logits(noise_clip(), bypass="nl")
    assert state(net) == before
    torch.testing.assert_close(whole, model.capture(noise_clip()).logits)
    prepared = model.adapter.prepare(net, noise_clip(), CLIPS)
    with torch.no_grad():
        net.eval()
        x = net.norm(net.stem(prepared.tensor))
        torch.testing.assert_close(without, net.head(x.mean((2, 3, 4)))[0])
    assert not torch.allclose(whole, without)
    assert without.requires_grad is False


def test_an_inserted_block_is_bypassed_behind_its_layer() -> None:
    net = frame_net()
    model = Model(net, input_spec=FRAMES)
    bare = FrameNet().eval()
    bare.load_state_dict({k: v for k, v in net.state_dict().items() if "non_local" not in k})
    prepared = model.adapter.prepare(net, noise_clip(), FRAMES)
    with torch.no_grad():
        want = bare(prepared.tensor).mean(0)
    assert torch.equal(model.logits(noise_clip(), bypass="layer1"), want)


def test_logits_of_unknown_blocks_and_of_other_outputs_are_refused() -> None:
    model = Model(clip_net(), input_spec=CLIPS)
    with pytest.raises(UnknownBlock, match="no block is called 'n'"):
        model.logits(noise_clip(), bypass="n")
    net = nn.Sequential(nn.Conv3d(3, 8, 4, stride=4), nlviz.NonLocalBlock(8))
    with pytest.raises(NlvizError, match="one score per class; Sequential: No class scores"):
        Model(net, input_spec=CLIPS).logits(noise_clip())


def test_a_bypass_ends_with_its_context_also_after_an_exception() -> None:
    net = clip_net()
    adapter = Model(net).adapter
    before = state(net)
    with pytest.raises(ValueError, match="stop"), adapter.bypass(net, "nl"):
        x = torch.randn(1, 8, 2, 5, 3)
        assert net.nl(x) is x
        raise ValueError("stop")
    assert state(net) == before


def test_a_bypass_is_of_its_own_thread_alone() -> None:
    net = clip_net()
    x = torch.randn(1, 8, 2, 5, 3)
    seen: list[Tensor] = []
    with torch.no_grad(), Model(net).adapter.bypass(net, "nl"):
        thread = threading.Thread(target=lambda: seen.append(net.nl(x)))
        thread.start()
        thread.join()
    assert not torch.equal(seen[0], x)


@pytest.mark.gpu
def test_capture_on_a_gpu_equals_the_cpu() -> None:
    net = clip_net(pairwise="embedded_gaussian")
    want = capture(net, noise_clip(), input_spec=CLIPS)
    got = capture(net.cuda(), noise_clip(), input_spec=CLIPS)
    assert got.about.device.startswith("cuda")
    torch.testing.assert_close(got.logits, want.logits, rtol=1e-2, atol=1e-3)
    a, b = got.affinities["nl"], want.affinities["nl"]
    torch.testing.assert_close(a.rows([0, 9]).cpu(), b.rows([0, 9]), rtol=1e-2, atol=1e-4)
    assert a.map(frame=1, y=3, x=3).weights.shape == b.keys.shape
    assert a.map_to(frame=1, y=3, x=3).weights.shape == b.queries.shape
    assert a.parity_error() < 1e-2
