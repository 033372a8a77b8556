"""Networks as people have them: half, double, compiled, wrapped, called by keyword, in place."""

from __future__ import annotations

import copy
import gc
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torch.nn.utils import parametrizations

import nlviz
from nlviz.analysis.attribution import attribution
from nlviz.analysis.health import block_health
from nlviz.captures.model import Model
from nlviz.errors import NlvizError
from nlviz.families.reading.adapter import InputSpec
from nlviz.networks.block import NonLocalBlock
from tests.nets import awake, noise_clip

SPEC = InputSpec(size=24, multiple=8, layout="frames")
CLIP = noise_clip(2, 24, 40)


class Net(nn.Module):
    def __init__(self, pairwise: str = "embedded_gaussian") -> None:
        super().__init__()
        torch.manual_seed(0)
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.MaxPool2d(2))
        self.nl = NonLocalBlock(8, dimension=2, pairwise=pairwise)
        self.head = nn.Linear(8, 5)
        awake(self)
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.nl(self.stem(x)).mean((2, 3)))


def transformer() -> VisionTransformer:
    torch.manual_seed(0)
    net = VisionTransformer(
        img_size=32, patch_size=8, embed_dim=48, depth=2, num_heads=3, num_classes=5
    )
    for p in net.parameters():
        p.data = torch.randn(p.shape) * 0.2
    return net.eval()


def eager_rows(net: VisionTransformer, x: Tensor) -> Tensor:
    """Rows of the last block as timm's unfused attention computes them, (frames, heads, n, n)."""
    net, seen = copy.deepcopy(net), []
    attention = net.blocks[1].attn
    attention.fused_attn = False
    attention.attn_drop.register_forward_hook(lambda m, args, rows: seen.append(rows))
    with torch.no_grad():
        net(x)
    return seen[0]


@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    [(torch.float64, 1e-12), (torch.float16, 0.01), (torch.bfloat16, 0.08)],
)
def test_rows_follow_the_type_of_the_weights(dtype: torch.dtype, tolerance: float) -> None:
    net = transformer().to(dtype)
    model = Model(net)
    capture = model.capture(CLIP)
    affinity = capture.affinities["blocks.1"]
    assert affinity.theta.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    wide = copy.deepcopy(net).to(affinity.theta.dtype)
    want = eager_rows(wide, model.prepared(CLIP).tensor.to(affinity.theta))
    got = affinity.dense()
    for frame in range(2):
        mine = got[:, 16 * frame : 16 * (frame + 1), 2 + 16 * frame : 2 + 16 * (frame + 1)]
        assert float((mine - want[frame, :, 1:, 1:]).abs().max()) < tolerance
    assert capture.receipts["blocks.1"].precision == str(dtype).removeprefix("torch.")
    assert attribution(model, capture, target=1).values.any()


def test_types_that_do_not_fit_are_told() -> None:
    net = Net().half()
    net.nl.float()
    with pytest.raises(NlvizError, match=r"types of its weights, here float16 and float32"):
        nlviz.capture(net, CLIP, input_spec=SPEC)


class InBfloat16(Net):
    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return super().forward(x).float()


def test_autocast_inside_a_network_is_seen() -> None:
    capture = nlviz.capture(InBfloat16(), CLIP, input_spec=SPEC)
    assert capture.receipts["nl"].precision == "bfloat16"


class ByKeyword(Net):
    def forward(self, x: Tensor) -> Tensor:
        x = self.stem[1](input=self.stem[0](input=x))
        return self.head(self.nl(x=x).mean((2, 3)))


class InPlace(Net):
    """Changes what entered the block, and what left it, behind it."""

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        z = self.nl(x)
        out = self.head((z + 0).mean((2, 3)))
        x.mul_(-3)
        z.zero_()
        return out


def wrapped(make: Callable[[nn.Module], nn.Module]) -> Net:
    """Return a network one of whose convolutions was wrapped so that it computes the same."""
    net = Net()
    net.nl.theta = make(net.nl.theta)
    return net.eval()


class Adapted(nn.Module):
    """A layer with an addition that is 0 at first, as LoRA's are."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.base_layer, self.added = layer, nn.Parameter(torch.zeros(()))
        self.weight, self.bias = layer.weight, layer.bias

    def forward(self, x: Tensor) -> Tensor:
        return self.base_layer(x) + self.added


def compiled(net: nn.Module, *, first: bool) -> nn.Module:
    torch._dynamo.reset()
    net = torch.compile(net, backend="eager")
    if first:
        with torch.no_grad():
            net(torch.zeros(2, 3, 24, 40))
    return net


def compiled_part() -> nn.Module:
    net = Net()
    torch._dynamo.reset()
    net.nl = torch.compile(net.nl, backend="eager")
    return net


def compiled_in_place() -> nn.Module:
    net = Net()
    torch._dynamo.reset()
    net.compile(backend="eager")
    return net


def compiled_forward() -> nn.Module:
    net = Net()
    torch._dynamo.reset()
    net.nl.forward = torch.compile(net.nl.forward, backend="eager")
    return net


SAME: dict[str, Callable[[], nn.Module]] = {
    "by keyword": ByKeyword,
    "changed in place": InPlace,
    "channels last": lambda: Net().to(memory_format=torch.channels_last),
    "spread over devices": lambda: nn.DataParallel(Net()),
    "copied": lambda: copy.deepcopy(Net()),
    "in training": lambda: Net().train(),
    "weight norm": lambda: wrapped(parametrizations.weight_norm),
    "adapted": lambda: wrapped(Adapted),
    "compiled": lambda: compiled(Net(), first=False),
    "compiled and run": lambda: compiled(Net(), first=True),
    "a part compiled": compiled_part,
    "compiled in place": compiled_in_place,
    "a forward compiled": compiled_forward,
}


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] * ("and run" in n)) for n in SAME]
)
def test_what_computes_the_same_gives_the_same(name: str) -> None:
    net = SAME[name]()
    modes = [m.training for m in net.modules()]
    names = [n for n, _ in net.named_modules()]
    model, plain = Model(net, input_spec=SPEC), Model(Net(), input_spec=SPEC)
    got, want = model.capture(CLIP), plain.capture(CLIP)
    assert model.blocks == ("nl",)
    assert list(got.affinities) == ["nl"]
    affinity, right = got.affinities["nl"], want.affinities["nl"]
    assert affinity.queries == right.queries
    torch.testing.assert_close(affinity.dense(), right.dense(), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(got.features["nl"], want.features["nl"])
    torch.testing.assert_close(got.logits, want.logits)
    without = plain.logits(CLIP, bypass="nl")
    if name != "changed in place":  # zeroes what the bypass returns, too
        torch.testing.assert_close(model.logits(CLIP, bypass="nl"), without)
        assert not torch.allclose(without, want.logits, rtol=1e-2)
        health, other = (block_health(m, c, "nl") for m, c in ((model, got), (plain, want)))
        assert health.size == pytest.approx(other.size, rel=1e-3)
        values = [attribution(m, CLIP, target=2).values for m in (model, plain)]
        torch.testing.assert_close(*map(torch.from_numpy, values), rtol=1e-3, atol=1e-5)
    assert [m.training for m in net.modules()] == modes
    assert [n for n, _ in net.named_modules()] == names
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.net.modules()) or (
        name == "weight norm"
    )


def test_names_of_wrappers_are_understood() -> None:
    model = Model(compiled(Net(), first=False), input_spec=SPEC)
    want = model.logits(CLIP, bypass="nl")
    assert torch.equal(model.logits(CLIP, bypass="_orig_mod.nl"), want)


def test_hooks_of_a_compiled_wrapper_still_run() -> None:
    net = Net()
    torch._dynamo.reset()
    net.nl = torch.compile(net.nl, backend="eager")
    net.nl.register_forward_hook(lambda m, args, z: z * 2)
    want = Net()
    want.nl.register_forward_hook(lambda m, args, z: z * 2)
    got = Model(net, input_spec=SPEC).logits(CLIP)
    torch.testing.assert_close(got, Model(want, input_spec=SPEC).logits(CLIP))


@pytest.mark.parametrize("part", ["theta", "phi", "g", "out", "bn"])
def test_a_block_calls_what_stands_in_the_place_of_its_layers(part: str) -> None:
    net = Net()
    setattr(net.nl, part, nn.Sequential(getattr(net.nl, part), nn.Tanh()))
    x = torch.randn(2, 8, 3, 5)
    with torch.no_grad():
        theta, phi, g = (m(x).flatten(2) for m in (net.nl.theta, net.nl.phi, net.nl.g))
        y = torch.einsum("bnm,bcm->bcn", (theta.mT @ phi).softmax(-1), g).unflatten(2, (3, 5))
        torch.testing.assert_close(net.nl(x), x + net.nl.bn(net.nl.out(y)))


def test_networks_that_share_a_part_wait_for_each_other() -> None:
    net = Net().train()
    outer = nn.Sequential(net).train()
    models = [Model(net, input_spec=SPEC), Model(outer, input_spec=SPEC)]
    clips = [noise_clip(2, 24, 40, seed=i) for i in range(4)]
    alone = [models[0].capture(clip).logits for clip in clips]

    def visit(i: int) -> bool:
        return torch.equal(models[i % 2].capture(clips[i % 4]).logits, alone[i % 4])

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(visit, range(24)))
    assert all(m.training for m in outer.modules())


def test_what_is_dropped_is_freed_at_once() -> None:
    """No cycle keeps a capture, or what a pass computed, until the collector comes."""
    model = Model(Net(), input_spec=SPEC)
    # Once before: what it imports stays.
    attribution(model, CLIP, method="integrated-gradients", target=0, steps=3)
    gc.collect()
    gc.disable()
    try:
        capture = model.capture(CLIP)
        theta = weakref.ref(capture.affinities["nl"].theta)
        features = weakref.ref(capture.features["nl"])
        del capture
        assert theta() is None
        assert features() is None
        before = sum(issubclass(type(o), Tensor) for o in gc.get_objects())
        attribution(model, CLIP, target=0)
        attribution(model, CLIP, method="integrated-gradients", target=0, steps=3)
        assert sum(issubclass(type(o), Tensor) for o in gc.get_objects()) <= before
    finally:
        gc.enable()
