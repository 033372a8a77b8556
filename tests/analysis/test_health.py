"""Dead, untrained, alive, and whether a map is about the query, on blocks made to be so."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.affinity.grid import TokenGrid
from nlviz.affinity.pairwise import Pairwise
from nlviz.affinity.support import Support
from nlviz.analysis import health
from nlviz.analysis.health import BlockHealth, Effect, block_health, unary_share
from nlviz.analysis.statistics import average_distance, block_statistics
from nlviz.captures.model import Model
from nlviz.networks.block import NonLocalBlock
from nlviz.networks.insert import insert
from tests.families.stand_ins import _NonLocalBlockND, shaken
from tests.nets import CLIPS, FRAMES, FrameNet, clip_net, frame_net, noise_clip


def frames_model(pairwise: str = "gaussian", **options: Any) -> tuple[Model, NonLocalBlock]:
    """Return a network of frames with a block that does something, and the block."""
    model = Model(frame_net(pairwise, **options), input_spec=FRAMES)
    (block,) = (m for m in model.net.modules() if isinstance(m, NonLocalBlock))
    return model, block


def judged(model: Model, name: str = "layer1") -> BlockHealth:
    return block_health(model, model.capture(noise_clip(3, 48, 64)), name)


def test_a_fresh_block_is_dead() -> None:
    torch.manual_seed(0)
    net = FrameNet().eval()
    insert(net, after="layer1", pairwise="embedded_gaussian")
    found = judged(Model(net, input_spec=FRAMES))
    assert (found.size, found.gamma, found.state) == (0.0, 0.0, "dead")
    assert found.effect == Effect(0.0, False, 0.0)
    assert found.verdict.startswith("The block is dead: it adds nothing")


def test_a_nearly_silent_block_is_dead_and_says_how_little_it_adds() -> None:
    model, block = frames_model()
    with torch.no_grad():
        block.bn.weight.fill_(1e-6)
        block.bn.bias.zero_()
    found = judged(model)
    assert 0 < (found.size or 0) < 1e-4
    assert found.state == "dead"
    assert "of its input's size" in found.verdict


def test_a_planted_block_is_alive_and_its_map_depends_on_the_query() -> None:
    model, block = frames_model(unit_length=True)
    with torch.no_grad():
        assert block.log_scale is not None
        block.log_scale.fill_(4.0)
    found = judged(model)
    assert (found.state, found.same_map) == ("alive", False)
    assert found.unary_share is not None
    assert found.unary_share < 0.9
    assert found.verdict.endswith("its map depends on the query.")
    assert found.effect is not None
    assert found.effect.logits > 1e-3


def test_a_block_whose_theta_ignores_the_query_has_the_same_map_for_all() -> None:
    model, block = frames_model("embedded_gaussian")
    with torch.no_grad():
        block.theta.weight.zero_()
        block.theta.bias.fill_(1.0)
        block.phi.weight.mul_(8)
    found = judged(model)
    assert found.state == "alive"
    assert found.same_map
    assert found.shared == pytest.approx(1, abs=1e-5)
    assert found.unary_share == pytest.approx(1, abs=1e-6)
    assert found.distance_rows == pytest.approx(0, abs=1e-6)
    assert found.uniform < 0.9
    assert found.verdict.endswith("its map is nearly the same for every query.")


def test_a_normalisation_as_it_starts_and_uniform_rows_look_untrained() -> None:
    model, block = frames_model(unit_length=True)
    with torch.no_grad():
        block.bn.weight.fill_(1)
        block.bn.bias.zero_()
    found = judged(model)
    assert found.state == "untrained"
    assert "still has the values it starts with" in found.verdict
    model, block = frames_model("embedded_gaussian")
    with torch.no_grad():
        block.theta.weight.mul_(1e-3)
        block.theta.bias.mul_(1e-3)
    found = judged(model)
    assert (found.state, found.initial_norm) == ("untrained", False)
    assert " % uniform" in found.verdict


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: Model(clip_net(pool=2, norm=True), input_spec=CLIPS), "nl"),
        (lambda: Model(clip_net(pairwise="concatenation", norm=False), input_spec=CLIPS), "nl"),
        (lambda: Model(clip_net(frames_per_group=1, pool=2), input_spec=CLIPS), "nl"),
        (lambda: frames_model("dot_product")[0], "layer1"),
        (lambda: frames_model(across_frames=False)[0], "layer1"),
    ],
)
def test_size_is_what_the_block_adds_against_its_input(make: Any, name: str) -> None:
    model = make()
    clip = noise_clip(6, 48, 64)
    capture = model.capture(clip)
    seen: list[tuple[Tensor, Tensor]] = []
    block = capture.blocks[name]
    block.register_forward_hook(lambda m, args, z: seen.append((args[0].clone(), z.clone())))
    model.logits(clip)
    ((x, z),) = seen
    found = block_health(None, capture, name)
    assert found.size == pytest.approx(float((z - x).norm() / x.norm()), rel=1e-4)
    assert found.effect is None
    assert (found.gamma is None) == isinstance(block.bn, nn.Identity)
    assert (found.unary_share is None) == (block.pairwise in ("dot_product", "concatenation"))


def test_size_is_judged_as_in_eval_mode_and_the_block_is_left_as_it_was() -> None:
    model, block = frames_model()
    capture = model.capture(noise_clip(3, 48, 64))
    calm = block_health(None, capture, "layer1")
    before = {k: v.clone() for k, v in block.state_dict().items()}
    block.train()
    assert block_health(None, capture, "layer1").size == calm.size
    assert block.training
    assert all(torch.equal(before[k], v) for k, v in block.state_dict().items())


def test_the_effect_is_that_of_a_network_without_the_block() -> None:
    model, block = frames_model("dot_product")
    clip = noise_clip(3, 48, 64)
    before = model.capture(clip).logits
    found = judged(model).effect
    with torch.no_grad():
        block.bn.weight.zero_()
        block.bn.bias.zero_()
    after = model.capture(clip).logits
    assert before is not None
    assert after is not None
    assert found is not None
    p, q = (torch.exp(v) / torch.exp(v).sum() for v in (before, after))
    assert found.probability == pytest.approx(float((p - q).abs().max()), rel=1e-4)
    wanted = float((before - after).square().sum().sqrt() / before.square().sum().sqrt())
    assert found.logits == pytest.approx(wanted, rel=1e-4)
    assert found.top1 == (int(before.argmax()) != int(after.argmax()))


def test_a_network_without_logits_has_no_effect() -> None:
    model, _ = frames_model()
    capture = replace(model.capture(noise_clip(3, 48, 64)), logits=None)
    assert block_health(model, capture, "layer1").effect is None


def grouped(group: int | None, *, prefix: int = 0) -> EmbeddedAffinity:
    """Return an affinity of two heads with y, on grids of unlike sizes."""
    seed = torch.Generator().manual_seed(2)
    queries, keys = TokenGrid((4, 3, 5), prefix=prefix), TokenGrid((4, 2, 3), prefix=prefix)
    d, dv = 7, 6
    return EmbeddedAffinity(
        "block",
        Pairwise("embedded_gaussian", 0.4),
        torch.randn(2, prefix + queries.size, d, generator=seed) + 1,
        torch.randn(2, prefix + keys.size, d, generator=seed),
        queries,
        keys,
        support=Support(group),
        output=torch.randn(2, prefix + queries.size, dv, generator=seed) + 0.5,
    )


def double_sum(vectors: Tensor, of: Tensor) -> float:
    """Return the mean of (1 - cos) / 2 over all pairs within a group, pair by pair."""
    total = 0.0
    for i, v in enumerate(vectors):
        own = [w for w, g in zip(vectors, of, strict=True) if g == of[i]]
        cosines = [float(v @ w / (v.norm() * w.norm())) for w in own]
        total += sum((1 - c) / 2 for c in cosines) / len(own)
    return total / len(vectors)


@pytest.mark.parametrize("group", [None, 2, 3])
@pytest.mark.parametrize("prefix", [0, 2])
def test_distances_are_the_double_sums(
    group: int | None, prefix: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    a = grouped(group, prefix=prefix)
    of = torch.arange(60) // 15 // (group or 4)
    rows = a.dense().double()
    wanted = sum(double_sum(head, of) for head in rows) / 2
    monkeypatch.setattr(health, "CHUNK", 70)
    distance, counted = health._row_distance(a)
    assert (distance, counted) == (pytest.approx(wanted, abs=1e-6), 60)
    y = torch.cat([head[prefix:] for head in a.output], 1).double()  # type: ignore[union-attr]
    assert health._output_distance(a) == pytest.approx(double_sum(y, of), abs=1e-6)
    assert average_distance(y, of) == pytest.approx(double_sum(y, of), abs=1e-9)
    monkeypatch.setattr(health, "EXACT_PAIRS", 10)
    monkeypatch.setattr(health, "SAMPLE", 20)
    near, counted = health._row_distance(a)
    assert counted == 20
    assert 0 < abs(near - distance) < 0.05


@pytest.mark.parametrize("group", [None, 2])
def test_unary_share_is_one_minus_the_divergence(group: int | None) -> None:
    a = grouped(group, prefix=1)
    rows, theta, phi = a.dense().double(), a.theta.double()[:, 1:], a.phi.double()
    of = torch.arange(60) // 15 // (group or 4)
    shares = []
    for head in range(2):
        for i in range(60):
            p = rows[head, i]
            mean = theta[head, of == of[i]].mean(0)
            logits = 0.4 * phi[head] @ mean
            q = torch.where(p > 0, logits.exp(), 0.0)
            q = q / q.sum()
            terms = [
                x * math.log(2 * x / (x + z)) + z * math.log(2 * z / (x + z))
                for x, z in zip(p.tolist(), q.tolist(), strict=True)
                if x > 0 and z > 0
            ]
            shares.append(1 - sum(terms) / 2 / math.log(2))
    assert unary_share(a) == pytest.approx(sum(shares) / len(shares), abs=1e-6)
    assert 0.5 < sum(shares) / len(shares) < 0.99


def test_each_frame_has_its_own_tokens_without_a_place() -> None:
    model, _ = frames_model()
    capture = model.capture(noise_clip(2, 48, 64))
    grid = TokenGrid((2, 3, 5), prefix=4)
    flat = EmbeddedAffinity(
        "layer1",
        Pairwise("embedded_gaussian"),
        torch.zeros(3, 34, 6),
        torch.randn(3, 34, 6),
        grid,
        grid,
        support=Support(1, own_prefix=True),
    )
    found = block_statistics(capture, "layer1", affinity=flat)
    assert found.uniform == pytest.approx(1)  # 15 cells and 2 tokens of the own frame
    assert found.effective == pytest.approx(17, rel=1e-5)
    assert found.shared == pytest.approx(1)


def test_frames_that_see_only_themselves_are_compared_within() -> None:
    model, _ = frames_model(across_frames=False)
    capture = model.capture(noise_clip(3, 48, 64))
    affinity = capture.affinities["layer1"]
    assert affinity.support.frames_per_group == 1
    assert isinstance(affinity, EmbeddedAffinity)
    flat = replace(affinity, theta=torch.zeros_like(affinity.theta))
    found = block_statistics(capture, "layer1", affinity=flat)
    assert found.shared == pytest.approx(1)
    assert found.uniform == pytest.approx(1)
    assert found.distance_rows == pytest.approx(0, abs=1e-6)


HEALTHY = BlockHealth(
    size=0.3,
    gamma=0.5,
    initial_norm=False,
    effect=Effect(0.2, True, 0.4),
    distance_input=0.4,
    distance_rows=0.2,
    distance_output=0.1,
    rows=60,
    queries=60,
    shared=0.5,
    uniform=0.4,
    unary_share=0.6,
    pairwise="gaussian",
)


@pytest.mark.parametrize(
    ("change", "state"),
    [
        ({"size": 0.99e-4}, "dead"),
        ({"size": 1.01e-4}, "alive"),
        ({"size": 0.99e-4, "initial_norm": True}, "dead"),
        ({"size": None}, "alive"),
        ({"size": None, "effect": Effect(0.0, False, 0.99e-6)}, "dead"),
        ({"size": None, "effect": None}, "alive"),
        ({"effect": Effect(0.0, False, 0.0)}, "alive"),  # it adds something; the head ignores it
        ({"initial_norm": True}, "untrained"),
        ({"uniform": 0.981}, "untrained"),
        ({"uniform": 0.979}, "alive"),
        ({"uniform": 0.981, "pairwise": "dot_product"}, "alive"),
    ],
)
def test_the_rules_have_these_numbers(change: dict[str, Any], state: str) -> None:
    assert replace(HEALTHY, **change).state == state


def test_the_verdict_names_a_shared_map_and_a_small_effect() -> None:
    assert HEALTHY.verdict == "The block is alive; its map depends on the query."
    assert not replace(HEALTHY, shared=0.9).same_map
    assert replace(HEALTHY, shared=0.901).same_map
    little = replace(HEALTHY, effect=Effect(0.0099, False, 0.1))
    assert "says nearly the same without it" in little.verdict
    assert "nearly the same without" not in replace(little, effect=Effect(0.005, True, 1)).verdict


@pytest.mark.parametrize(("scale", "classes"), [(None, 7), (0.3, 0)])
def test_attention_is_measured_against_its_residual_path(scale: float | None, classes: int) -> None:
    from timm.models.vision_transformer import VisionTransformer

    torch.manual_seed(0)
    net = VisionTransformer(
        img_size=(32, 48),
        patch_size=8,
        embed_dim=24,
        depth=2,
        num_heads=3,
        num_classes=classes,
        init_values=scale,
    ).eval()
    model = Model(net)
    clip = noise_clip(2, 32, 48)
    capture = model.capture(clip)
    name = "blocks.1"
    before = block_health(None, capture, name)
    assert before.size is None
    found = block_health(model, capture, name)
    seen: list[Tensor] = []
    net.blocks[1].register_forward_pre_hook(lambda m, args: seen.append(args[0].clone()))
    prepared = model.adapter.prepare(net, clip, None)
    with torch.no_grad():
        net(prepared.tensor)
        (x,) = seen
        block = net.blocks[1]
        added = block.attn(block.norm1(x))
        if scale is not None:
            added = added * block.ls1.gamma
    assert found.size == pytest.approx(float(added.norm() / x.norm()), rel=1e-5)
    assert (found.effect is None) == (classes == 0)
    assert found.state == "alive" or found.uniform > 0.98
    with torch.no_grad():
        for parameter in block.attn.proj.parameters():
            parameter.zero_()
    assert block_health(model, model.capture(clip), name).state == "dead"
    assert found.distance_output is not None
    assert found.unary_share is not None


@pytest.mark.parametrize("alive", [True, False])
def test_blocks_of_other_code_have_a_size_and_a_gamma(alive: bool) -> None:
    block = shaken(_NonLocalBlockND(6, 2, "embedded_gaussian"))
    if not alive:
        for parameter in block.W[1].parameters():
            parameter.data.zero_()
    net = nn.Sequential(nn.Conv2d(3, 6, 3, stride=4, padding=1), block).eval()
    model = Model(net, input_spec=FRAMES)
    shot = model.capture(noise_clip(1, 44, 60))
    (name,) = shot.affinities
    found = block_health(model, shot, name)
    x = shot.features[name].transpose(0, 1)
    with torch.no_grad():
        expected = float((block(x) - x).norm() / x.norm())
    assert found.size == pytest.approx(expected, rel=1e-4)
    assert found.gamma == pytest.approx(float(block.W[1].weight.detach().abs().mean()))
    assert found.state == ("alive" if alive else "dead")
