"""Memory is told before a pass, refused or split where it does not suffice, and given back."""

from __future__ import annotations

import gc
import math
import re
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor

import nlviz
from nlviz.captures.model import Capture, Model
from nlviz.clips.clip import Clip
from nlviz.errors import NlvizError, OutOfMemory
from nlviz.families.reading.adapter import InputSpec
from nlviz.files.local import bytes_in_words
from nlviz.networks import memory
from nlviz.networks.block import NonLocalBlock
from nlviz.networks.memory import Watch, free_bytes, largest
from tests.nets import CLIPS, FRAMES, awake, clip_net, frame_net, noise_clip

FACTOR = 1.25  # between an estimate and what a capture takes


class MatrixBlock(NonLocalBlock):
    """A block that builds its queries x keys matrix."""

    def forward(self, x: Tensor) -> Tensor:
        theta, phi, g = self.embed(x)
        y = (theta @ phi.mT).softmax(-1) @ g
        self.attend(theta, phi, g, 1.0)
        return x + self.bn(self.out(y[:, 0].mT.reshape(x.shape[0], -1, *x.shape[2:])))


class Wide(nn.Module):
    """A network whose largest moment lies in the block, or before it."""

    def __init__(self, block: type[NonLocalBlock], channels: int) -> None:
        super().__init__()
        self.stem = nn.Conv3d(3, channels, (1, 5, 5), stride=(1, 4, 4), padding=(0, 2, 2))
        self.nl = block(channels, dimension=3, inner=6)
        self.head = nn.Linear(channels, 7)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.nl(self.stem(x).relu()).mean((2, 3, 4)))


def actual(model: Model, clip: Clip) -> int:
    """Return the bytes that live at the worst moment of a real capture."""
    with Watch() as watch:
        model.capture(clip)
    return watch.peak


def limited(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    monkeypatch.setattr("nlviz.captures.model.free_bytes", lambda device: free)


@pytest.mark.parametrize("kind", ["lite-nl", "fused", "matrix", "frames"])
def test_an_estimate_is_what_a_capture_takes(kind: str) -> None:
    clip = noise_clip(4, 96, 128)
    if kind == "lite-nl":
        model = nlviz.load_model("lite-nl", device="cpu")
    elif kind == "frames":
        model = Model(frame_net(), input_spec=InputSpec(size=96, multiple=32, layout="frames"))
    else:
        block = MatrixBlock if kind == "matrix" else NonLocalBlock
        net = awake(Wide(block, 24).eval())
        model = Model(net, input_spec=InputSpec(size=96, multiple=32, layout="clip"))
    found, real = model.estimate(clip), actual(model, clip)
    assert real / FACTOR < found.peak < real * FACTOR
    assert found.kept < found.peak < found.need


def test_a_block_that_builds_its_matrix_takes_it() -> None:
    spec = InputSpec(size=64, multiple=32, layout="clip")
    shape, n = (1, 3, 3, 64, 96), 3 * 16 * 24
    fused, matrix = (
        Model(awake(Wide(b, 8).eval()), input_spec=spec).estimate(shape).peak
        for b in (NonLocalBlock, MatrixBlock)
    )
    assert matrix - fused > 1.9 * n * n * 4  # the logits and the rows


def test_gradients_keep_activations() -> None:
    model = Model(clip_net(), input_spec=CLIPS)
    shape = (1, 3, 4, 32, 48)
    assert model.estimate(shape, gradient=True).peak > model.estimate(shape).peak


class Remembering(nn.Module):
    """Keeps a table for the last size it saw, as codes with positions do."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv3d(3, 4, 1, stride=(1, 4, 4))
        self.nl = NonLocalBlock(4, dimension=3)
        self.table: Tensor | None = None
        self.register_buffer("seen", None, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        if self.table is None or self.table.shape != x.shape[-1:]:
            self.table = torch.arange(x.shape[-1], dtype=torch.float32)
            self.seen = self.table + 1
            self.other = self.table * 2
        return self.nl(x + self.table).mean((2, 3, 4))


def test_an_estimate_leaves_nothing_behind() -> None:
    net = Remembering().train()
    model = Model(net, input_spec=CLIPS)
    weights = {n: t.clone() for n, t in net.state_dict().items()}
    model.estimate((1, 3, 2, 32, 48))
    assert net.table is None and net.seen is None and not hasattr(net, "other")
    assert net.training and net.nl.training
    assert all(torch.equal(t, weights[n]) for n, t in net.state_dict().items())
    assert not any(len(m._forward_hooks) for m in net.modules())
    model.capture(noise_clip(2, 32, 48))
    kept = net.table
    model.estimate((1, 3, 2, 32, 64))
    assert net.table is kept and not isinstance(net.other, FakeTensor)
    model.capture(noise_clip(2, 32, 64))


def test_what_depends_on_the_data_cannot_be_told(monkeypatch: pytest.MonkeyPatch) -> None:
    class Deciding(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Conv3d(3, 4, 1, stride=(1, 4, 4))
            self.nl = NonLocalBlock(4, dimension=3)

        def forward(self, x: Tensor) -> Tensor:
            x = self.stem(x)
            return self.nl(x if float(x.mean()) > 0 else -x).mean((2, 3, 4))

    model = Model(Deciding().eval(), input_spec=CLIPS)
    with pytest.raises(NlvizError, match="cannot be told beforehand"):
        model.estimate((1, 3, 2, 32, 48))
    limited(monkeypatch, 1000)
    assert model.capture(noise_clip(2)).logits is not None  # it is tried


def test_small_inputs_are_not_estimated_and_sizes_once(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Model(clip_net(), input_spec=CLIPS)
    tried: list[object] = []
    real = memory.estimate
    monkeypatch.setattr(
        "nlviz.captures.model.estimate", lambda *a, **k: tried.append(a[2]) or real(*a, **k)
    )
    clip = noise_clip(4)
    size = model.adapter.prepare(model.net, clip, CLIPS).tensor.nbytes
    limited(monkeypatch, size * memory.SURELY)
    model.capture(clip)
    assert tried == []
    limited(monkeypatch, size * memory.SURELY - 1)
    for _ in range(3):
        model.capture(clip)
    assert len(tried) == 1


@pytest.mark.parametrize("layout", ["clip", "frames"])
def test_too_large_a_clip_is_refused_with_what_fits(
    monkeypatch: pytest.MonkeyPatch, layout: str
) -> None:
    spec = InputSpec(size=96, multiple=32, layout=layout)
    net = clip_net() if layout == "clip" else frame_net()
    model, clip = Model(net, input_spec=spec), noise_clip(11, 96, 160)
    free = int(model.estimate(clip).need * 0.6)
    limited(monkeypatch, free)
    with pytest.raises(OutOfMemory) as caught:
        model.capture(clip)
    told = str(caught.value)
    assert "11 frames of 160x96 px" in told
    assert bytes_in_words(model.estimate(clip).need) in told and bytes_in_words(free) in told
    frames = int(re.search(r"take (\d+) frames", told)[1])
    size = int(re.search(r"InputSpec\(size=(\d+)\)", told)[1])
    assert 1 <= frames < 11 and size in (32, 64)
    fits, over = clip.part(0, frames), clip.part(0, frames + 1)
    assert model.estimate(fits).need <= free < model.estimate(over).need
    assert model.capture(fits).logits is not None
    with pytest.raises(OutOfMemory):
        model.capture(over)
    smaller = Model(net, input_spec=InputSpec(size=size, multiple=32, layout=layout))
    assert smaller.capture(clip).logits is not None
    limited(monkeypatch, 10)
    with pytest.raises(OutOfMemory, match="take another device"):
        model.capture(clip)


def test_windows_of_a_long_clip(monkeypatch: pytest.MonkeyPatch) -> None:
    model, clip = Model(frame_net(), input_spec=FRAMES), noise_clip(11)
    told: list[str] = []
    found = model.capture_windows(clip, frames=4, progress=lambda s, _: told.append(s))
    first = next(found)
    assert len(told) > 0 and all(s.startswith("Window 1 of 3, frames 0 to 3: ") for s in told)
    shots = [first, *found]
    assert [len(s.clip.frames) for s in shots] == [4, 4, 3]
    assert [s.clip.name for s in shots] == [
        f"noise 0, frames {a} to {b}" for a, b in ((0, 3), (4, 7), (8, 10))
    ]
    joined = np.concatenate([s.clip.frames for s in shots])
    assert np.array_equal(joined, clip.frames)
    assert np.array_equal(np.concatenate([s.clip.times for s in shots]), clip.times)
    alone = model.capture(Clip.from_frames(clip.frames[4:8]))
    assert torch.equal(shots[1].affinities["layer1"].theta, alone.affinities["layer1"].theta)
    assert len({s.clip.digest for s in shots}) == 3
    assert next(model.capture_windows(clip)).clip is clip  # all of it fits
    limited(monkeypatch, model.estimate(clip.part(0, 5)).need)
    assert [len(s.clip.frames) for s in model.capture_windows(clip)] == [4, 4, 3]
    with pytest.raises(NlvizError, match="at least 1 frames"):
        next(model.capture_windows(clip, frames=0))


def test_a_dropped_capture_gives_its_tensors_back() -> None:
    model = Model(clip_net(), input_spec=CLIPS)
    capture = model.capture(noise_clip())
    affinity = capture.affinities["nl"]
    affinity.rows([0])
    kept = [weakref.ref(t) for t in (affinity.theta, affinity.phi, capture.features["nl"])]
    window = next(model.capture_windows(noise_clip(6), frames=3))
    kept.append(weakref.ref(window.affinities["nl"].theta))
    assert all(ref() is not None for ref in kept)
    del capture, affinity, window
    gc.collect()
    assert all(ref() is None for ref in kept)


def test_watch_counts_each_tensor_once_and_forgets_the_dead() -> None:
    with Watch() as watch:
        x = torch.zeros(3, 5)
        y = x.view(5, 3).mT  # no new memory
        y.add_(1)
        z = x + y.mT.reshape(3, 5)
        del z
        assert watch.live == 60
        torch.zeros(7, 11).sum()
    assert watch.live == 60
    assert watch.peak >= 60 + 308
    assert x is not None


def test_the_container_counts(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    without = free_bytes("cpu")
    (tmp_path / "memory.max").write_text("5000000\n")
    (tmp_path / "memory.current").write_text("3000000\n")
    (tmp_path / "memory.stat").write_text("anon 2000000\ninactive_file 700000\n")
    assert free_bytes("cpu") == 2_700_000
    (tmp_path / "memory.max").write_text("max\n")
    assert free_bytes("cpu") > 100_000_000
    assert without > 100_000_000
    for most in range(1, 40):
        for edge in range(40):
            assert largest(lambda n, e=edge: n <= e, below=most) == max(min(edge, most - 1), 0)


# Half precision


def autocast(net: nn.Module, spec: InputSpec = CLIPS) -> Model:
    return Model(net, input_spec=spec, autocast=torch.bfloat16)


def test_half_precision_by_name() -> None:
    model = nlviz.load_model("lite-nl", device="cpu", autocast="bfloat16")
    assert model.autocast is torch.bfloat16
    clip = noise_clip(2, 64, 96)
    exact = nlviz.load_model("lite-nl", device="cpu").capture(clip)
    half = model.capture(clip)
    assert half.logits.dtype == torch.float32
    assert not torch.equal(half.logits, exact.logits)
    torch.testing.assert_close(half.logits, exact.logits, rtol=0.1, atol=0.3)
    with pytest.raises(NlvizError, match="bfloat16, or None; got 'fp8'"):
        nlviz.load_model("lite-nl", autocast="fp8")


@pytest.mark.parametrize("pairwise", ["embedded_gaussian", "gaussian", "dot_product"])
def test_rows_of_half_precision_are_computed_in_float32(pairwise: str) -> None:
    net = clip_net(pairwise=pairwise, scale=True, pool=2)
    clip = noise_clip(6, 64, 96)
    exact = Model(net, input_spec=CLIPS).capture(clip).affinities["nl"]
    half = autocast(net).capture(clip).affinities["nl"]
    assert half.theta.dtype == half.values.dtype == half.output.dtype == torch.float32
    assert not torch.equal(half.theta, exact.theta)  # it did run in half precision
    torch.testing.assert_close(half.theta, exact.theta, rtol=0.05, atol=0.02)
    want, got = exact.dense(), half.dense()
    assert (got - want).abs().max() < 0.05 * want.abs().max()
    if pairwise != "dot_product":
        torch.testing.assert_close(got.sum(-1), torch.ones(got.shape[:-1]), rtol=1e-5, atol=0)
    # Rows are what float32 makes of these embeddings, not what half precision would.
    logits = half.theta.double() @ half.phi.double().mT * half.pairwise.scale
    if pairwise != "dot_product":
        torch.testing.assert_close(got.double(), logits.softmax(-1), rtol=1e-5, atol=1e-7)
    assert half.parity_error() < 0.05
    assert half.column(3).dtype == torch.float32


def test_the_live_view_takes_half_precision() -> None:
    from nlviz.web.payloads.container import unpack
    from nlviz.web.payloads.live_view import live_view

    net, clip = clip_net(), noise_clip()
    header, arrays = unpack(live_view(autocast(net).capture(clip), "nl"))
    _, exact = unpack(live_view(Model(net, input_spec=CLIPS).capture(clip), "nl"))
    assert header["sources"]
    assert arrays.keys() == exact.keys()
    for name, array in arrays.items():
        if np.issubdtype(array.dtype, np.floating):
            assert np.isfinite(array).all()
            scale = np.abs(exact[name]).max() + 1e-6
            assert np.abs(array.astype(float) - exact[name]).max() < 0.1 * scale


def test_threads_with_and_without_half_precision_do_not_mix() -> None:
    net = frame_net()
    models = [Model(net, input_spec=FRAMES), autocast(net, FRAMES)]
    clips = [noise_clip(2, 32, 48, seed=i) for i in range(4)]
    alone = [[m.capture(clip) for clip in clips] for m in models]
    start = threading.Barrier(4)

    def visit(i: int) -> list[tuple[int, Capture]]:
        start.wait()
        return [(n % 2, models[n % 2].capture(clips[i])) for n in range(20)]

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(visit, range(4)))
    for i, captures in enumerate(found):
        for which, got in captures:
            want = alone[which][i].affinities["layer1"]
            assert torch.equal(got.affinities["layer1"].theta, want.theta)
            assert torch.equal(got.logits, alone[which][i].logits)
    assert not torch.equal(alone[0][0].logits, alone[1][0].logits)
    assert not torch.is_autocast_enabled("cpu")


# On a GPU


@pytest.fixture
def on_gpu() -> Model:
    net = clip_net().to("cuda")
    return Model(net, input_spec=InputSpec(size=128, multiple=32, layout="clip"))


@pytest.mark.gpu
def test_gpu_rows_stay_there_and_go_with_the_capture(on_gpu: Model) -> None:
    clip = noise_clip(8, 128, 160)
    want = Model(clip_net(), input_spec=on_gpu.input_spec).capture(clip).affinities["nl"]
    on_gpu.capture(clip)
    gc.collect()
    before = torch.cuda.memory_allocated()
    capture = on_gpu.capture(clip)
    rows = capture.affinities["nl"].rows([5, 9])
    assert rows.device.type == "cuda"
    torch.testing.assert_close(rows.cpu(), want.rows([5, 9]), rtol=1e-2, atol=1e-5)
    assert torch.cuda.memory_allocated() > before
    del capture, rows
    gc.collect()
    assert torch.cuda.memory_allocated() == before


@pytest.mark.gpu
def test_gpu_estimate_is_what_torch_allocates(on_gpu: Model) -> None:
    clip = noise_clip(8, 128, 160)
    on_gpu.capture(clip)
    gc.collect()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    capture = on_gpu.capture(clip)
    real = torch.cuda.max_memory_allocated() - before
    assert capture.logits is not None
    assert real / 1.5 < on_gpu.estimate(clip).peak < real * 1.5


@pytest.mark.gpu
def test_gpu_in_half_precision(on_gpu: Model) -> None:
    clip = noise_clip(8, 128, 160)
    exact = on_gpu.capture(clip).affinities["nl"].rows([7])
    half = Model(on_gpu.net, input_spec=on_gpu.input_spec, autocast=torch.bfloat16).capture(clip)
    rows = half.affinities["nl"].rows([7])
    assert rows.dtype == torch.float32
    assert (rows - exact).abs().max() < 0.05 * exact.abs().max()


@pytest.mark.gpu
def test_gpu_refuses_what_does_not_fit(on_gpu: Model) -> None:
    free, _ = torch.cuda.mem_get_info()
    per_frame = on_gpu.estimate((1, 3, 64, 128, 160)).need / 64
    frames = math.ceil(2 * free / per_frame)
    need = on_gpu.estimate((1, 3, frames, 128, 160)).need
    assert need > free_bytes("cuda")
