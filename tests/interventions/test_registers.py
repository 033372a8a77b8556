"""Registers at test time: planted neurons are found and moved, other tokens stay what they are."""

from __future__ import annotations

import threading

import pytest
import torch
from torch import Tensor, nn

import nlviz
from nlviz import interventions
from nlviz.captures.model import Model
from nlviz.errors import NlvizError
from nlviz.families.reading.adapter import InputSpec
from tests.families.small_transformers import PICTURE, SQUARE, TINY, _of, small
from tests.nets import noise_clip

WIDE = {"intermediate_size": 50}


def vit() -> Model:
    return built("ViTForImageClassification", "ViTConfig", {**PICTURE, **WIDE, "num_labels": 5})


def built(name: str, config: str, given: dict[str, object]) -> Model:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        net = _of(name, config, **given)().eval().requires_grad_(False)
        for parameter in net.parameters():
            parameter.add_(torch.randn(parameter.shape) * 0.1)
    return Model(net)


def planted(model: Model, clip: nlviz.Clip, *, token: int, neuron: int) -> None:
    """Make a neuron of the first layer fire at one token, which it makes very long."""
    layer = model.net.vit.layers[0]
    kept: list[Tensor] = []
    fc1, fc2 = layer.mlp.fc1, layer.mlp.fc2
    handle = fc1.register_forward_pre_hook(lambda module, args: kept.append(args[0].clone()))
    model.capture(clip)
    handle.remove()
    x = kept[0][0]
    apart = x[token] - x.mean(0)
    with torch.no_grad():
        fc1.weight[neuron] = 4 * apart / apart.norm()
        fc1.bias[neuron] = -4 * float((x @ (apart / apart.norm())).topk(2).values.mean())
        fc2.weight[:, neuron] = 60 * torch.randn(fc2.out_features)


def test_the_neuron_that_makes_a_token_long_is_found_and_moved() -> None:
    model, clip = vit(), noise_clip(1, 40, 56)
    planted(model, clip, token=9, neuron=7)
    found = nlviz.token_norms(model, clip)
    first = found["vit.layers.0"]
    ((index, _),) = first.top(1)
    assert (index, first.largest > 5) == (8, True)  # the class token is none of them
    register = interventions.register_neurons(model, clip, neurons=1, tokens=1)
    (neuron,) = register.neurons
    assert (neuron.layer, neuron.number) == ("vit.layers.0.mlp.fc2", 7)
    assert neuron.at > 3 * neuron.elsewhere
    assert (register.block, register.last, register.place) == ("vit.layers.0", "vit.layers.1", 1)
    with model.exclusive(clip), register.acting(model):
        after = nlviz.token_norms(model, clip)["vit.layers.0"]
    assert after.largest < 0.5 * first.largest
    assert after.apart.max() > 0.5 * first.norms.max()  # what was there is at the register
    assert after.grid == first.grid


def test_an_empty_token_is_added_and_all_is_as_it_was_afterwards() -> None:
    model, clip = vit(), noise_clip(2, 40, 56)
    before = model.logits(clip)
    register = interventions.register_neurons(model, clip, neurons=3)
    found = nlviz.intervene(model, clip, register)
    assert found.said == "An empty token takes the activations of 3 neurons."
    for name, one in found.after.affinities.items():
        of = found.before.affinities[name]
        assert one.queries.prefix == of.queries.prefix + 2  # each frame is a picture of its own
        assert one.queries.shape == of.queries.shape
        assert one.token_names == ("cls", "test-time register") * 2
        assert found.after.receipts[name].holds
    assert torch.equal(model.logits(clip), before)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.net.modules())
    pair = found.rows(next(iter(found.before.affinities)), (0, 20, 28))
    assert pair.before.weights.shape == pair.after.weights.shape


def test_the_network_is_restored_after_an_exception_and_other_threads_see_none_of_it() -> None:
    model, clip = vit(), noise_clip(1, 40, 56)
    register = interventions.register_neurons(model, clip, neurons=3)
    x = model.prepared(clip).tensor
    with torch.no_grad():
        plain = model.net(x).logits
    seen: list[Tensor] = []

    def other() -> None:
        with torch.no_grad():
            seen.append(model.net(x).logits)

    with pytest.raises(ZeroDivisionError), register.acting(model), torch.no_grad():
        assert not torch.allclose(model.net(x).logits, plain)
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        raise ZeroDivisionError
    assert torch.equal(seen[0], plain)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.net.modules())


def test_a_token_stands_where_rotary_positions_do_not_move() -> None:
    """DINOv3 turns all but its first tokens, V-JEPA 2 all of them by their number."""
    given = {**SQUARE, **WIDE, "num_register_tokens": 2}
    model, clip = built("DINOv3ViTModel", "DINOv3ViTConfig", given), noise_clip(1, 40, 56)
    assert interventions.register_neurons(model, clip).place == 3
    jepa, clip = Model(small("v-jepa-2")), noise_clip(6, 40, 56)
    register = interventions.register_neurons(jepa, clip)
    found = nlviz.intervene(jepa, clip, register)
    first, *_ = found.before.affinities
    assert register.place == found.before.affinities[first].queries.size


@pytest.mark.parametrize(
    ("name", "config", "given", "why"),
    [
        (
            "TimesformerModel",
            "TimesformerConfig",
            {**SQUARE, **WIDE, "num_frames": 3},
            "takes none more: it stops with RuntimeError: shape",
        ),
        (
            "ViTModel",
            "ViTConfig",
            {**TINY, "image_size": (20, 28), "patch_size": 4},
            "no linear map that leads back",
        ),
    ],
)
def test_networks_that_take_no_token_more_are_told_in_a_sentence(
    name: str, config: str, given: dict[str, object], why: str
) -> None:
    model = built(name, config, given)
    with pytest.raises(NlvizError, match=why):
        interventions.register_neurons(model, noise_clip(3, 40, 56))


def test_a_network_without_tokens_in_a_line_has_no_register() -> None:
    net = nn.Sequential(nn.Conv2d(3, 6, 3, stride=4, padding=1), nn.ReLU())
    nlviz.insert(net, after="1")
    model = Model(net, input_spec=InputSpec(size=48, layout="frames"))
    with pytest.raises(NlvizError, match=r"layers must pass on \(batch, tokens, channels\)"):
        interventions.register_neurons(model, noise_clip(2, 48, 64))


def test_rows_are_not_changed_by_number_where_a_token_more_moves_the_numbers() -> None:
    model, clip = vit(), noise_clip(1, 40, 56)
    register = interventions.register_neurons(model, clip, neurons=1)
    (block, *_) = model.blocks
    with pytest.raises(NlvizError, match="one of both at a time"):
        nlviz.intervene(model, clip, [register, interventions.BypassHeads(block, (0,))])
    rerun = interventions.Rerun(model.capture(clip))
    with pytest.raises(NlvizError, match="one of both at a time"):
        rerun.run(register, interventions.BypassHeads(block, (0,)))
    assert not torch.equal(rerun.run(register).logits, rerun.run().logits)  # type: ignore[arg-type]
