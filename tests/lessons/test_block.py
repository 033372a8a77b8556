"""What *The block* says, computed again."""

from __future__ import annotations

import copy
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

import nlviz
from nlviz.networks.block import NonLocalBlock
from nlviz.recipes.feature_bank import normalised
from nlviz.recipes.lessons import block as recipe
from nlviz.recipes.recall import pixels
from nlviz.recipes.recall_clips import recall_clips
from nlviz.web.lesson_pages import data
from tests.lessons.claims import claim
from tests.lessons.pure import hold_beside

RATE = 0.2


@cache
def cells() -> tuple[Any, Any, Tensor]:
    """The recall network, the lesson's clips, and what the trunk makes of them."""
    net = recipe.recall_network()
    clips = recall_clips(recipe.CLIPS, seed=recipe.SEED, split="held-out")
    with torch.no_grad():
        return net, clips, net.cells(pixels(clips))


def counted(net: nn.Module, x: Tensor) -> int:
    """Multiply-adds of a forward pass, as PyTorch counts them."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        net(x)
    return counter.get_total_flops() // 2


def block_cases() -> list[dict[str, Any]]:
    found = []
    for channels, ratio, grid, pool, first in (
        (16, 2, (2, 6, 8), 1, True),
        (12, 4, (3, 6, 4), 2, True),
        (12, 4, (3, 6, 4), 2, False),
        (8, 1, (2, 7, 5), 2, True),
        (8, 2, (1, 8, 12), 4, False),
    ):
        inner = channels // ratio
        block = NonLocalBlock(channels, inner=inner, pool=pool, pool_first=first, norm=False)
        block.eval()
        found.append(
            {
                "about": {"channels": channels, "inner": inner, "grid": grid, "pool": pool,
                          "first": first},
                "parameters": sum(p.numel() for p in block.parameters()),
                "multiplyAdds": counted(block, torch.randn(1, channels, *grid)),
            }
        )  # fmt: skip
    return found


def convolution_cases() -> list[dict[str, Any]]:
    found = []
    for channels, grid in ((6, (2, 5, 7)), (16, (3, 4, 4))):
        net = nn.Conv3d(channels, channels, 3, padding=1)
        found.append({"about": {"channels": channels, "grid": grid},
                      "parameters": sum(p.numel() for p in net.parameters()),
                      "multiplyAdds": counted(net, torch.randn(1, channels, *grid))})  # fmt: skip
    return found


def scaled_cases() -> tuple[list[dict[str, Any]], list[tuple[float, int]]]:
    net, clips, x = cells()
    found = []
    with torch.no_grad():
        theta, phi, _ = net.nl.embed(x)
        rows = (net.nl.logit_scale() * theta @ phi.mT).softmax(-1)[:, 0]
        for clip, factor in ((1, 0.0), (4, 0.35), (4, 1.0), (9, 2.0)):
            one = x[clip : clip + 1]
            logits, ratio = recipe.scaled_answers(net, one, factor)
            y, column = np.array(clips.centre(clip, 4)) // 4
            row = rows[clip, 4 * 64 + int(y) * 8 + int(column)]
            chances = logits.softmax(1)[0].tolist()
            found.append({"clip": clip, "factor": factor, "ratio": ratio, "chances": chances,
                          "row": row.tolist()})  # fmt: skip
        answers = torch.from_numpy(clips.answers)
        right = [
            (f, int((recipe.scaled_answers(net, x, f)[0].argmax(1) == answers).sum()))
            for f in (0.0, 1.0)
        ]
    return found, right


def descent() -> list[dict[str, Any]]:
    """Loss and gradients of a fresh block before the trained head, for some steps."""
    net, clips, x = cells()
    block: Any = recipe.fresh_block()
    answers = torch.from_numpy(clips.answers)
    last = x[:, :, -1]
    pooling = net.pooling(last).detach()
    found = []
    for _ in range(5):
        block.zero_grad()
        z = last + block.branch(x)[:, :, -1]
        logits = net.head(torch.einsum("bchw,bhw->bc", z, pooling))
        loss = F.cross_entropy(logits, answers)
        loss.backward()
        norms = {
            n: float(getattr(block, n).weight.grad.norm()) for n in ("out", "g", "theta", "phi")
        }
        found.append({"loss": loss.item(), "right": int((logits.argmax(1) == answers).sum()),
                      "norms": norms})  # fmt: skip
        with torch.no_grad():
            for parameter in block.parameters():
                parameter -= RATE * parameter.grad
    return found


def work_case() -> dict[str, Any]:
    channels, inner, grid = 6, 4, (2, 3, 5)
    torch.manual_seed(3)
    x = torch.randn(1, channels, *grid)
    block: Any = NonLocalBlock(channels, inner=inner, norm=False).eval()
    weights = {}
    with torch.no_grad():
        for name in ("theta", "phi", "g", "out"):
            conv = getattr(block, name)
            conv.weight.normal_(std=0.4)
            conv.bias.zero_()
            weights[name] = conv.weight.flatten().tolist()
        net = nn.Conv3d(channels, channels, 3, padding=1, bias=False)
        kernel = net.weight.permute(0, 2, 3, 4, 1).flatten().tolist()
        flat = [v[0].flatten(1).mT.flatten().tolist() for v in (x, block(x), net(x))]
    return {"channels": channels, "inner": inner, "grid": grid, "x": flat[0], "block": flat[1],
            "convolved": flat[2], "weights": weights, "convolution": kernel}  # fmt: skip


@claim("bottleneck", "identity", "insert", "gradient", "subsampling", "convolution")
def test_the_browser_computes_what_pytorch_computes(tmp_path: Path) -> None:
    scaled, right = scaled_cases()
    told = {
        "blocks": block_cases(), "convolutions": convolution_cases(), "scaled": scaled,
        "right": right, "descent": descent(), "rate": RATE, "work": work_case(),
        "kept": data("block")[0]["numbers"]["kept_one"],
    }  # fmt: skip
    hold_beside("block", told, tmp_path)


@claim("identity", "gradient")
def test_the_data_are_what_the_recipe_makes() -> None:
    net, clips, x = cells()
    head, arrays = data("block")
    assert np.array_equal(arrays["frames"], clips.frames)
    assert np.array_equal(arrays["answers"], clips.answers)
    assert np.abs(arrays["x"] - x.flatten(2).mT.numpy()).max() < 2e-2
    for name, values in {**recipe.trained_weights(net), **recipe.fresh_weights()}.items():
        assert np.array_equal(arrays[name], values), name
    assert head["colours"] == list(recipe.COLOURS) and head["grid"] == [5, 8, 8]


@claim("identity")
def test_without_the_block_the_network_guesses() -> None:
    net, _, _ = cells()
    numbers = data("block")[0]["numbers"]
    clips = recall_clips(200, seed=77, split="held-out")
    with torch.no_grad():
        x = net.cells(pixels(clips))
        right = [
            (recipe.scaled_answers(net, x, f)[0].argmax(1) == torch.from_numpy(clips.answers))
            .float()
            .mean()
            .item()
            for f in (0.0, 1.0)
        ]
        assert torch.equal(x + 0.0 * net.nl.branch(x), x)
    assert right[0] == pytest.approx(numbers["right_without"], abs=0.09)
    assert right[1] == pytest.approx(numbers["right_with"], abs=0.05)
    assert numbers["right_without"] == pytest.approx(1 / numbers["colours"], abs=0.04)


@claim("insert")
def test_an_inserted_block_changes_nothing_at_zero_and_much_at_its_usual_start() -> None:
    head, arrays = data("block")
    lite: Any = nlviz.load_model("lite-nl", device="cpu").net
    backbone = lite.backbone.eval()
    net = copy.deepcopy(backbone)
    torch.manual_seed(0)
    block: Any = nlviz.insert(net, after=recipe.STAGE, pairwise="embedded_gaussian", channels=112,
                              norm=False)  # fmt: skip
    usual = torch.empty_like(block.out.weight)
    nn.init.kaiming_uniform_(usual, a=5**0.5)
    assert not block.out.weight.any()
    one = recipe.FACTORS.index(1.0)
    chosen = (0, 2, 5, 11)
    inputs = [normalised(recipe.pictures()[n][None]) for n in chosen]
    with torch.no_grad():
        before = [backbone(x)[0] for x in inputs]
        assert all(torch.equal(net(x)[0], b) for x, b in zip(inputs, before, strict=True))
        block.out.weight.copy_(usual)
        after = [net(x)[0] for x in inputs]
    kept = [float(a.argmax() == b.argmax()) for a, b in zip(after, before, strict=True)]
    assert kept == [float(arrays["insert.kept"][0, n, one]) for n in chosen]
    near = [float(np.corrcoef(a, b)[0, 1]) for a, b in zip(after, before, strict=True)]
    stored = [float(arrays["insert.correlation"][0, n, one]) for n in chosen]
    assert near == pytest.approx(stored, abs=1e-3)
    # A layer of PyTorch starts as the factor 1 does.
    torch.manual_seed(5)
    drawn = nn.Conv3d(56, 112, 1).weight.detach().std()
    assert float(drawn) == pytest.approx(float(usual.std()), rel=0.05)
    numbers = head["numbers"]
    by_start = arrays["insert.kept"][:, :, one].sum(1)
    assert numbers["kept_one"] == pytest.approx(float(by_start.mean()))
    assert numbers["kept_zero"] == numbers["pictures"] == arrays["insert.kept"].shape[1]
    assert numbers["starts"] == arrays["insert.kept"].shape[0]
    assert numbers["kept_one"] < 0.75 * numbers["pictures"]


@claim("gradient")
def test_only_w_z_has_a_gradient_at_first_and_all_learn_after() -> None:
    first, *rest = descent()
    assert first["norms"]["out"] > 0.1
    assert [first["norms"][n] for n in ("g", "theta", "phi")] == [0, 0, 0]
    assert all(norm > 0 for step in rest for norm in step["norms"].values())
    assert rest[-1]["loss"] < first["loss"]


@claim("bottleneck", "subsampling", "convolution")
def test_counts_that_the_texts_give_as_formulas() -> None:
    channels, grid = 16, (2, 8, 10)
    n, d = int(np.prod(grid)), channels // 2
    x = torch.randn(1, channels, *grid)
    whole = NonLocalBlock(channels, norm=False).eval()
    weights = sum(p.numel() for name, p in whole.named_parameters() if name.endswith("weight"))
    assert weights == 2 * channels**2
    assert counted(whole, x) == 2 * n * channels**2 + n * n * channels
    convolution = nn.Conv3d(channels, channels, 3, padding=1, bias=False)
    assert sum(p.numel() for p in convolution.parameters()) == 27 * channels**2
    assert counted(convolution, x) == 27 * n * channels**2
    # Pooled 2 x 2, pairs fall to a quarter; theta, W_z and parameters do not.
    pooled = NonLocalBlock(channels, norm=False, pool=2).eval()
    later = NonLocalBlock(channels, norm=False, pool=2, pool_first=False).eval()
    k = n // 4
    assert counted(pooled, x) == 2 * n * channels * d + 2 * k * channels * d + 2 * n * k * d
    assert counted(later, x) == 4 * n * channels * d + 2 * n * k * d
    assert sum(p.numel() for p in pooled.parameters()) == sum(p.numel() for p in whole.parameters())
    # Another function: the maximum of features is not the feature of the maximum.
    with torch.no_grad():
        for block in (pooled, later):
            block.load_state_dict(whole.state_dict())
            block.out.weight.normal_(generator=torch.Generator().manual_seed(0))
        assert not torch.allclose(pooled(x), later(x), atol=1e-3)
        assert pooled(x).shape == x.shape


@claim("convolution")
def test_seconds_name_their_shape_threads_and_machine() -> None:
    timed = data("block")[0]["timed"]
    assert (timed["channels"], *timed["grid"]) == recipe.SHAPE and timed["threads"] == 1
    assert timed["machine"]
    milliseconds = timed["milliseconds"]
    assert milliseconds["pooled"] < milliseconds["block"] < milliseconds["convolution"]
    # An output of the block depends on every cell, one of the convolution on its 27 neighbours.
    x = torch.randn(1, 4, 3, 6, 5, requires_grad=True)
    block: Any = NonLocalBlock(4, norm=False)
    nn.init.normal_(block.out.weight)
    for net, reach in ((block, 90), (nn.Conv3d(4, 4, 3, padding=1), 27)):
        x.grad = None
        net(x)[0, :, 1, 3, 2].sum().backward()
        assert x.grad is not None
        assert int((x.grad[0].abs().sum(0) > 0).sum()) == reach
