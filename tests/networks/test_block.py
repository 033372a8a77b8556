"""The non-local block against its formula, its gradients, and putting it into networks."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nlviz.errors import NlvizError
from nlviz.networks.block import NonLocalBlock
from nlviz.networks.insert import insert
from nlviz.networks.lite_nl import LiteNL
from tests.reference import block_output

NAMES = ("gaussian", "embedded_gaussian", "dot_product", "concatenation")
GRIDS = {1: (7,), 2: (5, 6), 3: (3, 4, 5)}


def awake(block: NonLocalBlock, seed: int = 0) -> NonLocalBlock:
    """Give every parameter and statistic a value, so that the output is not the input."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, t in [*block.named_parameters(), *block.named_buffers()]:
            if t.is_floating_point() and name != "log_scale":
                t.copy_(torch.randn(t.shape, generator=generator) * 0.5)
            if name.endswith("running_var"):
                t.copy_(t.abs() + 0.5)
    return block.eval()


def features(channels: int, dimension: int, batch: int = 2, seed: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, channels, *GRIDS[dimension], generator=generator)


OPTIONS = [
    {"pool": pool, "pool_first": first, "scale": scale, "unit_length": unit, "norm": norm}
    for pool, first, scale, unit, norm in [
        (1, True, False, False, True),
        (2, True, True, False, False),
        (2, False, False, False, True),
        (2, False, 0.4, False, False),
        (1, True, False, True, True),
        (2, True, False, True, False),
        (2, False, False, True, True),
    ]
]


@pytest.mark.parametrize("pairwise", NAMES)
@pytest.mark.parametrize("dimension", [1, 2, 3])
@pytest.mark.parametrize("options", OPTIONS, ids=lambda o: "-".join(str(v) for v in o.values()))
def test_forward_equals_the_formula(pairwise: str, dimension: int, options: dict[str, Any]) -> None:
    if pairwise == "concatenation" and options["unit_length"]:
        with pytest.raises(NlvizError, match="unit_length"):
            NonLocalBlock(6, dimension=dimension, pairwise=pairwise, **options)
        return
    block = awake(NonLocalBlock(6, dimension=dimension, pairwise=pairwise, inner=4, **options))
    x = features(6, dimension)
    scale = options["scale"]
    width = 6 if pairwise == "gaussian" else 4
    want = block_output(
        x,
        {k: v.detach() for k, v in block.state_dict().items()},
        pairwise=pairwise,
        pool={1: (options["pool"],), 2: (options["pool"],) * 2, 3: (1, *(options["pool"],) * 2)}[
            dimension
        ],
        pool_first=options["pool_first"],
        scale=width**-0.5 if scale is True else float(scale or 1.0),
        unit_length=options["unit_length"],
        norm=options["norm"],
    )
    with torch.no_grad():
        got = block(x)
    assert got.shape == x.shape
    assert not torch.allclose(got, x)
    np.testing.assert_allclose(got.numpy(), want, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("pairwise", NAMES)
@pytest.mark.parametrize("norm", [True, False])
@pytest.mark.parametrize("training", [True, False])
def test_a_fresh_block_is_the_identity(pairwise: str, norm: bool, training: bool) -> None:
    block = NonLocalBlock(6, pairwise=pairwise, norm=norm, pool=2).train(training)
    x = features(6, 3)
    assert torch.equal(block(x), x)


@pytest.mark.parametrize("pairwise", NAMES)
def test_a_fresh_block_learns(pairwise: str) -> None:
    block = NonLocalBlock(6, pairwise=pairwise)
    optimizer = torch.optim.SGD(block.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        block(features(6, 3)).square().mean().backward()
        optimizer.step()
    assert not torch.equal(block(features(6, 3)), features(6, 3))
    assert block.g.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("pairwise", NAMES)
@pytest.mark.parametrize(
    "options", [{"pool": 2}, {"pool": 2, "pool_first": False}, {"norm": False}]
)
def test_gradients_of_input_and_parameters(pairwise: str, options: dict[str, Any]) -> None:
    block = awake(NonLocalBlock(3, dimension=2, pairwise=pairwise, inner=2, **options)).double()
    x = features(3, 2, batch=1)[..., :4, :4].double().requires_grad_()
    names = [n for n, _ in block.named_parameters()]

    def run(x: Tensor, *values: Tensor) -> Tensor:
        return torch.func.functional_call(block, dict(zip(names, values, strict=True)), (x,))

    values = [p.detach().clone().requires_grad_() for p in block.parameters()]
    assert torch.autograd.gradcheck(run, (x, *values))


@pytest.mark.parametrize("pairwise", NAMES[:3])
def test_gradient_of_the_temperature(pairwise: str) -> None:
    block = awake(NonLocalBlock(4, dimension=2, pairwise=pairwise, unit_length=True)).double()
    x = features(4, 2, batch=1).double()

    def run(log_scale: Tensor) -> Tensor:
        return torch.func.functional_call(block, {"log_scale": log_scale}, (x,))

    start = torch.tensor(0.7, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(run, (start,))


@pytest.mark.parametrize("pairwise", NAMES)
def test_embed_gives_one_vector_per_position(pairwise: str) -> None:
    block = NonLocalBlock(6, dimension=3, pairwise=pairwise, inner=4, pool=2)
    theta, phi, g = block.embed(features(6, 3))
    d = {"gaussian": 6, "concatenation": 1}.get(pairwise, 4)
    assert theta.shape == (2, 1, 60, d)
    assert phi.shape == (2, 1, 3 * 2 * 2, d)
    assert g.shape == (2, 1, 12, 4)


def test_keys_are_pooled_before_or_after_the_convolution() -> None:
    first, last = (awake(NonLocalBlock(6, pool=2, pool_first=f, norm=False)) for f in (True, False))
    last.load_state_dict(first.state_dict())
    assert not torch.allclose(first(features(6, 3)), last(features(6, 3)), atol=1e-3)


@pytest.mark.parametrize("shape", [(2, 5, 3, 4, 5), (2, 6, 4, 5), (6, 3, 4, 5)])
def test_other_features_are_refused_with_the_shape(shape: tuple[int, ...]) -> None:
    with pytest.raises(NlvizError, match=r"batch, 6, t, h, w.*got \("):
        NonLocalBlock(6)(torch.zeros(shape))


def test_unknown_pairwise_functions_are_refused() -> None:
    with pytest.raises(NlvizError, match="embedded_gaussian"):
        NonLocalBlock(6, pairwise="nl_means")


@pytest.mark.parametrize("pairwise", NAMES)
def test_half_precision_runs(pairwise: str) -> None:
    block = awake(NonLocalBlock(6, pairwise=pairwise))
    want = block(features(6, 3)).detach()
    got = block.bfloat16()(features(6, 3).bfloat16())
    assert got.dtype == torch.bfloat16
    assert float((got.detach().float() - want).abs().max() / want.abs().max()) < 0.05


@pytest.mark.parametrize("pairwise", NAMES)
@pytest.mark.parametrize("options", [{"pool": 2}, {"pool": 2, "pool_first": False}, {}])
def test_groups_of_frames_are_blocks_of_their_own(pairwise: str, options: dict[str, Any]) -> None:
    block = awake(NonLocalBlock(6, pairwise=pairwise, frames_per_group=3, **options))
    alone = awake(NonLocalBlock(6, pairwise=pairwise, **options))
    x = torch.randn(2, 6, 9, 4, 5, generator=torch.Generator().manual_seed(4))
    with torch.no_grad():
        want = torch.cat([alone(part) for part in x.split(3, 2)], 2)
        torch.testing.assert_close(block(x), want)
        torch.testing.assert_close(block(x[:, :, :3]), alone(x[:, :, :3]))
        assert not torch.allclose(block(x), alone(x), atol=1e-4)
        # Groups of 3 are no groups of 9: a change in the last frame stays in the last group.
        other = x.clone()
        other[:, :, 8] += 1
        assert torch.equal(block(other)[:, :, :6], block(x)[:, :, :6])
    with pytest.raises(NlvizError, match="multiple of 3 frames of features, got 8"):
        block(x[:, :, :8])


@pytest.mark.parametrize(("dimension", "group"), [(2, 4), (1, 4), (3, 0)])
def test_groups_need_frames(dimension: Any, group: int) -> None:
    with pytest.raises(NlvizError, match=f"frames_per_group={group} in {dimension} dimensions"):
        NonLocalBlock(6, dimension=dimension, frames_per_group=group)


@pytest.mark.parametrize("dimension", [1, 2, 3])
def test_concatenation_has_a_bias_inside_its_rectifier(dimension: Any) -> None:
    block = awake(
        NonLocalBlock(
            6, dimension=dimension, pairwise="concatenation", concat_bias=True, norm=False
        )
    )
    assert block.state_dict()["w_f_bias"].shape == ()
    with torch.no_grad():
        block.w_f_bias.fill_(-0.7)
        x = features(6, dimension)
        theta, phi, g, out = (
            torch.einsum("oc,bcn->bon", conv.weight.flatten(1), y) + conv.bias[:, None]
            for conv, y in (
                (block.theta, x.flatten(2)),
                (block.phi, x.flatten(2)),
                (block.g, x.flatten(2)),
                (block.out, torch.zeros(2, 3, 1)),
            )
        )
        n = theta.shape[2]
        pairs = torch.cat(
            [theta[..., None].expand(-1, -1, -1, n), phi[:, :, None].expand(-1, -1, n, -1)], 1
        )
        f = (torch.einsum("c,bcij->bij", block.w_f, pairs) - 0.7).relu() / n
        y = torch.einsum("bij,bcj->bci", f, g)
        z = torch.einsum("oc,bcn->bon", block.out.weight.flatten(1), y) + out
        torch.testing.assert_close(block(x), x + z.reshape(x.shape), rtol=1e-4, atol=1e-4)
        block.w_f_bias.zero_()
        assert not torch.allclose(block(x), x + z.reshape(x.shape), atol=1e-3)
    assert NonLocalBlock(6, concat_bias=True).w_f_bias is None


@pytest.mark.parametrize("pairwise", NAMES)
def test_evaluation_is_training_with_the_same_statistics(pairwise: str) -> None:
    block = awake(NonLocalBlock(6, pairwise=pairwise, pool=2))
    x = features(6, 3)
    with torch.no_grad():
        y = block.attend(*block.embed(x), block.logit_scale())[:, 0]
        added = block.out(y.mT.reshape(2, 3, *x.shape[2:]))
        torch.testing.assert_close(block.branch(x), block.bn(added), rtol=1e-4, atol=1e-5)
        block.train()
        want = nn.functional.batch_norm(added, None, None, block.bn.weight, block.bn.bias, True)
        torch.testing.assert_close(block(x), x + want, rtol=1e-4, atol=1e-5)
    assert block.bn.num_batches_tracked == 1


def test_a_block_leaves_its_input_alone() -> None:
    block = awake(NonLocalBlock(6, pool=2))
    x = features(6, 3)
    before = x.clone()
    with torch.no_grad():
        block(x)
    assert torch.equal(x, before)


@pytest.mark.parametrize("group", [None, 1])
def test_the_layout_in_memory_stays(group: int | None) -> None:
    block = awake(NonLocalBlock(6, pool=2, frames_per_group=group))
    x = features(6, 3)
    last = x.contiguous(memory_format=torch.channels_last_3d)
    with torch.no_grad():
        assert block(x).is_contiguous()
        assert block(last).is_contiguous(memory_format=torch.channels_last_3d)
        torch.testing.assert_close(block(last), block(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("training", [True, False])
def test_mixed_precision_keeps_the_size_of_what_comes_out(training: bool) -> None:
    block = awake(NonLocalBlock(6, pool=2)).train(training)
    x = features(6, 3)
    with torch.no_grad():
        want = block(x)
        with torch.autocast("cpu", torch.bfloat16):
            got = block(x)
    assert got.shape == want.shape
    assert float((got.float() - want).abs().max() / want.abs().max()) < 0.05


@pytest.mark.parametrize("scaled", [True, False])
def test_timms_block_is_this_one(scaled: bool) -> None:
    from timm.layers.non_local_attn import NonLocalAttn

    torch.manual_seed(0)
    theirs = NonLocalAttn(24, use_scale=scaled, rd_channels=8).eval()
    for parameter in theirs.parameters():
        nn.init.normal_(parameter, std=0.4)
    ours = NonLocalBlock(24, dimension=2, inner=8, scale=24**-0.5 if scaled else 1.0).eval()
    names = {"t": "theta", "p": "phi", "g": "g", "z": "out", "norm": "bn"}
    ours.load_state_dict(
        {
            ".".join([names[(part := key.split(".", 1))[0]], part[1]]): value
            for key, value in theirs.state_dict().items()
        }
    )
    x = torch.randn(3, 24, 7, 5)
    with torch.no_grad():
        want = theirs(x)
        assert float((ours(x) - want).abs().max() / want.abs().max()) < 1e-5
        ours.scale *= 1.1
        assert float((ours(x) - want).abs().max() / want.abs().max()) > 1e-4


# insert -------------------------------------------------------------------------------------------


def small() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 4, 1)
    )


class Net(nn.Module):
    def __init__(self, three: bool = False) -> None:
        super().__init__()
        conv = nn.Conv3d if three else nn.Conv2d
        self.stem = nn.Sequential(conv(3, 8, 3, padding=1), nn.ReLU())
        self.layer1 = nn.Sequential(conv(8, 8, 3, padding=1), nn.ReLU())
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layer1(self.stem(x)).flatten(2).mean(-1))


@pytest.mark.parametrize(
    ("net", "after", "shape"),
    [
        (small(), "1", (5, 3, 16, 24)),
        (small(), "2", (5, 3, 16, 24)),
        (Net(), "layer1", (5, 3, 16, 24)),
        (Net(), "stem.0", (5, 3, 16, 24)),
        (Net(three=True), "layer1", (1, 3, 4, 16, 24)),
    ],
)
@pytest.mark.parametrize("pairwise", NAMES)
def test_an_inserted_block_changes_nothing_at_first(
    net: nn.Module, after: str, shape: tuple[int, ...], pairwise: str
) -> None:
    net = copy.deepcopy(net).train()
    names = list(net.state_dict())
    modes = [m.training for m in net.modules()]
    statistics = {k: v.clone() for k, v in net.named_buffers()}
    x = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        want = copy.deepcopy(net)(x)
        block = insert(net, after=after, pairwise=pairwise)
        assert [m.training for m in net.modules() if m not in set(block.modules())] == modes
        assert all(torch.equal(statistics[k], v) for k, v in net.named_buffers() if k in statistics)
        assert torch.equal(net(x), want)
    own = [n for n in net.state_dict() if "non_local" not in n]
    assert own == names
    assert {p for p in block.parameters()} <= {p for p in net.parameters()}
    assert block.dimension == 3
    assert block.place == after


def test_an_inserted_block_takes_part() -> None:
    net = Net()
    block = insert(net, after="layer1", pairwise="embedded_gaussian")
    awake(block)
    x = torch.randn(4, 3, 8, 8)
    changed = net(x)
    assert not torch.allclose(changed, Net.forward(copy.deepcopy(net), torch.zeros_like(x)))
    # Frames see each other: another last frame changes what comes out of the first.
    other = x.clone()
    other[3] = 0
    assert not torch.allclose(net(other)[0], changed[0])


def test_without_across_frames_each_frame_is_alone() -> None:
    net = Net()
    block = insert(net, after="layer1", across_frames=False)
    awake(block)
    x = torch.randn(4, 3, 8, 8)
    other = x.clone()
    other[3] = 0
    assert block.dimension == 2
    torch.testing.assert_close(net(other)[0], net(x)[0])


@pytest.mark.parametrize("net", [small(), Net()])
def test_a_copy_of_a_network_has_a_block_of_its_own(net: nn.Module) -> None:
    after = "1" if isinstance(net, nn.Sequential) else "layer1"
    block = awake(insert(net, after=after, pairwise="dot_product"))
    net.eval()
    x = torch.randn(2, 3, 8, 8)
    before = net(x)
    for twin in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert torch.equal(twin(x), before)
        with torch.no_grad():
            for p in twin.parameters():
                p.zero_()
        assert torch.equal(net(x), before)
        other = [m for m in twin.modules() if isinstance(m, NonLocalBlock)]
        assert len(other) == 1
        assert other[0] is not block


def test_weights_of_a_network_with_a_block_can_be_saved_and_loaded() -> None:
    one, two = Net(), Net()
    for net in (one, two):
        awake(
            insert(net, after="layer1", pairwise="embedded_gaussian"), seed=len(list(net.modules()))
        )
    two.load_state_dict(one.state_dict())
    x = torch.randn(2, 3, 8, 8)
    assert torch.equal(one(x), two(x))


def test_unknown_layers_are_refused_with_close_names() -> None:
    with pytest.raises(NlvizError, match="no layer 'layer2'; did you mean 'layer1'"):
        insert(Net(), after="layer2")
    with pytest.raises(NlvizError, match="no layer ''"):
        insert(Net(), after="")


def test_a_layer_with_another_output_is_refused() -> None:
    with pytest.raises(NlvizError, match="4 or 5 dimensions, 'head' has 2"):
        insert(Net(), after="head")


def test_two_blocks_behind_one_layer_are_refused() -> None:
    net = Net()
    insert(net, after="layer1")
    names = list(net.state_dict())
    with pytest.raises(NlvizError, match="one is enough"):
        insert(net, after="layer1")
    assert list(net.state_dict()) == names


def test_a_network_that_no_guess_fits_asks_for_an_example() -> None:
    class Picky(Net):
        def forward(self, x: Tensor) -> Tensor:
            if x.shape[-1] != 40:
                raise ValueError("40 only")
            return super().forward(x)

    with pytest.raises(NlvizError, match="example="):
        insert(Picky(), after="layer1")
    assert insert(Picky(), after="layer1", example=torch.zeros(1, 3, 40, 40)).channels == 8
    assert insert(Picky(), after="layer1", channels=8).channels == 8


def test_a_failed_insert_leaves_no_hook_and_no_mode_behind() -> None:
    net = Net().train()
    with pytest.raises(NlvizError):
        insert(net, after="head")
    assert all(m.training for m in net.modules())
    assert not any(m._forward_hooks for m in net.modules())


def test_blocks_take_device_and_type_of_the_network() -> None:
    net = Net().double()
    block = insert(net, after="layer1")
    assert {p.dtype for p in block.parameters()} == {torch.double}
    assert net(torch.zeros(1, 3, 8, 8).double()).dtype == torch.double


def test_several_blocks_live_side_by_side() -> None:
    net = Net()
    for after in ("stem", "layer1"):
        insert(net, after=after)
    names = [n for n in net.state_dict() if "non_local" in n]
    assert any("non_local_stem." in n for n in names)
    assert any("non_local_layer1." in n for n in names)


def test_lite_nl_block_inputs_are_what_enters_the_blocks() -> None:
    net = LiteNL().eval()
    for block in (net.stage3, net.stage4):
        awake(block)
    seen: dict[str, Tensor] = {}
    for name in ("stage3", "stage4"):
        getattr(net, name).register_forward_pre_hook(
            lambda m, args, name=name: seen.__setitem__(name, args[0])
        )
    clip = torch.randn(1, 3, 2, 64, 80)
    with torch.no_grad():
        net(clip)
        inputs = net.block_inputs(clip)
        assert inputs["stage3"].shape == (1, 40, 2, 8, 10)
        assert inputs["stage4"].shape == (1, 112, 2, 4, 5)
        for name, x in inputs.items():
            torch.testing.assert_close(x, seen[name])
