"""What the lesson ``paths`` claims, computed anew; its pure JavaScript beside PyTorch."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F

import nlviz
from nlviz.networks.block import NonLocalBlock
from nlviz.recipes.lessons import paths, paths_fields, paths_rows
from nlviz.web.lesson_pages import data
from tests.lessons.claims import claim
from tests.lessons.pure import DATA, Pure

PURE = Pure("paths")
PICTURES = ("brighter", "later", "other")
KINDS = {  # width, dilation and stride of each layer
    "three": [(3, 1, 1)] * 5,
    "five": [(5, 1, 1)] * 5,
    "holes": [(3, 4, 1)] * 5,
    "doubling": [(3, 2**n, 1) for n in range(5)],
    "strided": [(3, 1, 2)] * 5,
}


@pytest.fixture(scope="module")
def model() -> nlviz.Model:
    found = nlviz.load_model("lite-nl", device="cpu")
    paths.frozen(found)
    return found


@pytest.fixture(scope="module")
def stored() -> tuple[dict[str, Any], dict[str, Any]]:
    return data("paths")


def layers_until(down: int, across: int, side: int) -> int:
    """The least number of layers of ones whose gradient at B is not 0, by trying."""
    for layers in range(1, 40):
        x = torch.zeros(1, 1, 61, 61, dtype=torch.float64, requires_grad=True)
        y = x
        for _ in range(layers):
            kernel = torch.ones(1, 1, side, side, dtype=torch.float64)
            y = F.conv2d(y, kernel, padding=side // 2)
        (gradient,) = torch.autograd.grad(y[0, 0, 30, 30], x)
        if gradient[0, 0, 30 + down, 30 + across] != 0:
            return layers
    raise AssertionError


@claim("steps")
def test_layers_until_two_cells_are_connected_are_those_of_a_gradient() -> None:
    places = [(5, 13), (9, 7), (0, 6), (11, 11)]
    readings = [{"from": [1, 2], "to": [1 + down, 2 + across]} for down, across in places]
    answers = [layers_until(*place, side=3) for place in places]
    found = PURE.judged(
        "judgePathsLayers", "steps",
        *({"given": n, "reading": r} for n, r in zip(answers, readings, strict=True)),
    )  # fmt: skip
    assert [verdict["say"] for verdict in found] == ["right"] * 4
    sevens = [layers_until(*place, side=7) for place in places]
    assert [verdict["values"]["seven"] for verdict in found] == sevens


@claim("steps")
def test_wrong_numbers_of_layers_are_told_apart() -> None:
    reading = {"from": [9, 4], "to": [4, 17]}
    given = {"few": 9, "many": 30, "added": 18, "third": 5}
    found = PURE.judged(
        "judgePathsLayers", "steps", *({"given": n, "reading": reading} for n in given.values())
    )
    assert [verdict["say"] for verdict in found] == list(given)
    assert not any(verdict["right"] for verdict in found)
    for wrong in (-3, 0, 13.5, 12.999):
        answer = {"given": wrong, "reading": reading}
        assert PURE.judged("judgePathsLayers", "steps", answer)[0]["say"] == "whole"
    close = {"given": 4, "reading": {"from": [9, 4], "to": [8, 8]}}
    assert PURE.judged("judgePathsLayers", "steps", close)[0]["say"] == "near"


def reached(layers: list[tuple[int, int, int]]) -> list[int]:
    """Offsets of the input that an output depends on, by the gradient of layers of ones."""
    side = 401
    x = torch.zeros(1, 1, side, dtype=torch.float64, requires_grad=True)
    y, middle = x, [side // 2]
    for width, dilation, stride in layers:
        before = dilation * (width - 1) // 2
        kernel = torch.ones(1, 1, width, dtype=torch.float64)
        start = middle[-1] % stride  # so that the middle stays a place of every level
        y = F.conv1d(F.pad(y[..., start:], (before, before)), kernel, None, stride, 0, dilation)
        middle.append(middle[-1] // stride)
    (gradient,) = torch.autograd.grad(y[0, 0, middle[-1]], x)
    offsets = torch.nonzero(gradient[0, 0])[:, 0] - side // 2
    found: list[int] = offsets.tolist()
    return found


@claim("line")
@pytest.mark.parametrize("kind", KINDS)
def test_what_stacks_reach_is_what_gradients_reach(kind: str) -> None:
    for count in (1, 2, 3, 5):
        layers = KINDS[kind][:count]
        (stack,) = PURE.call(("reach", "pathsStack", kind, count))
        assert [(each["width"], each["dilation"], each["stride"]) for each in stack] == layers
        found, field, levels = PURE.call(
            ("reach", "pathsReached", stack),
            ("reach", "pathsField", stack),
            ("reach", "pathsStrides", stack),
        )
        wanted = reached(layers)
        assert found == wanted
        assert field == wanted[-1] - wanted[0] + 1
        assert levels[-1] == np.prod([stride for _, _, stride in layers])


@claim("line")
def test_ways_begin_at_b_and_end_at_a_wherever_there_are_any() -> None:
    for kind, count, distance in (("doubling", 5, 22), ("strided", 5, 19), ("holes", 5, 20)):
        (stack,) = PURE.call(("reach", "pathsStack", kind, count))
        ways, cone, none = PURE.call(
            ("reach", "pathsWays", stack, -distance),
            ("reach", "pathsCone", stack),
            ("reach", "pathsWays", stack, -121),
        )
        assert none == []
        assert {way[1] for way in ways if way[0] == 0} == {-distance}
        assert {way[3] for way in ways if way[2] == count} == {0}
        assert {tuple(way) for way in ways} <= {tuple(edge) for edge in cone}
        # Each connection above the first begins where one below it ended.
        ends = {(way[2], way[3]) for way in ways}
        assert all((way[0], way[1]) in ends for way in ways if way[0] > 0)


@claim("line")
def test_a_recurrent_layer_takes_the_distance_in_steps_the_others_one() -> None:
    torch.manual_seed(0)
    places, b = 17, 4
    x = torch.randn(places, 1, 3, requires_grad=True)
    cell, state, depends = nn.RNNCell(3, 5), torch.zeros(1, 5), []
    for place in range(places):
        state = cell(x[place], state)
        (gradient,) = torch.autograd.grad(state.sum(), x, retain_graph=True)
        depends.append(bool((gradient[b] != 0).any()))
    assert depends == [place >= b for place in range(places)]
    # From B's own state to A's there is one call of the cell for each place between them.
    (steps,) = PURE.call(("reach", "pathsSteps", "recurrent", places - 1 - b))
    assert steps == len(depends) - 1 - depends.index(True)
    line = x[:, 0].T[None].detach().requires_grad_()
    block = NonLocalBlock(3, dimension=1, norm=False)
    nn.init.normal_(block.out.weight)
    for kind, layer in (("connected", nn.Linear(places, places)), ("nonlocal", block)):
        (gradient,) = torch.autograd.grad(layer(line)[0, :, -1].sum(), line)
        assert (gradient[0].abs().sum(0) > 0).all()
        assert PURE.call(("reach", "pathsSteps", kind, 13)) == [1]


@claim("line")
def test_answers_on_the_line_are_judged_by_the_ways_that_there_are() -> None:
    cases = [
        ("doubling", 5, 30, "right"), ("strided", 5, 22, "right"), ("holes", 5, 20, "right"),
        ("holes", 5, 18, "holes"), ("three", 5, 16, "short"), ("five", 5, 22, "short"),
        ("doubling", 4, 16, "more"), ("strided", 3, 22, "more"), ("holes", 3, 16, "more"),
        ("holes", 3, 18, "short"), ("recurrent", 1, 22, "recurrent"),
        ("nonlocal", 1, 22, "wide"), ("connected", 1, 16, "wide"),
    ]  # fmt: skip
    found = PURE.judged(
        "judgePathsLine", "line",
        *({"reading": {"kind": kind, "layers": layers, "distance": distance, "places": 33}}
          for kind, layers, distance, _ in cases),
    )  # fmt: skip
    assert [verdict["say"] for verdict in found] == [case[-1] for case in cases]
    first, gap = found[0]["values"], found[3]["values"]
    assert first["reach"] == reached(KINDS["doubling"])[-1]
    assert (first["plain"], first["recurrent"]) == (30, 30)
    assert (gap["before"], gap["after"]) == (16, 20)


def expected_field(layers: int) -> np.ndarray:
    """Mean squared gradient of independent weights: the kernel of ones / 9, convolved n times."""
    line = np.ones(1)
    for _ in range(layers):
        line = np.convolve(line, np.ones(3) / 3)
    return line[:, None] * line


@claim("width")
def test_measured_fields_are_what_independent_weights_give(
    stored: tuple[dict[str, Any], dict[str, Any]],
) -> None:
    head, arrays = stored
    depths = head["depths"]
    calls: list[tuple[Any, ...]] = []
    for depth in depths:
        calls.append(("judges", "pathsWidthOf", DATA, depth))
        flat = expected_field(depth).ravel().tolist()
        calls.append(("widths", "pathsWidth", flat, 2 * depth + 1))
    found = np.reshape(PURE.call(*calls), (-1, 2))
    np.testing.assert_allclose(found[:, 0], found[:, 1], rtol=0.06)
    # Twice as wide for four times the layers, once there are some; what can be reached: 4 times.
    wide = dict(zip(depths, found[:, 0], strict=True))
    for few, many in ((4, 16), (8, 32), (16, 64)):
        assert wide[many] / wide[few] == pytest.approx(2, rel=0.06)
        assert (2 * many + 1) / (2 * few + 1) == pytest.approx(4, rel=0.13)
    # An own sum of rings: 95 % lie in the square.
    field = arrays["plain_16"].astype(np.float64)
    away = np.abs(np.arange(33) - 16)
    rings = np.bincount(np.maximum(away[:, None], away).ravel(), field.ravel()).cumsum()
    half = (wide[16] - 1) / 2
    assert rings[int(half)] <= 0.95 * rings[-1] <= rings[int(half) + 1]


@claim("width")
def test_the_measured_fields_are_those_of_the_recipe(
    stored: tuple[dict[str, Any], dict[str, Any]],
) -> None:
    head, arrays = stored
    assert head["numbers"]["runs"] == paths_fields.RUNS
    assert head["numbers"]["deepest"] == head["depths"][-1] == paths_fields.DEPTHS[-1]
    for depth in (2, 8):
        again = paths_fields.plain_field(depth).numpy()
        np.testing.assert_allclose(arrays[f"plain_{depth}"], again, rtol=1e-3, atol=1e-7)
    ones = torch.ones(1, 1, 3, 3, dtype=torch.float64)
    ways = ones
    for _ in range(5):
        ways = F.conv2d(F.pad(ways, (2,) * 4), ones)
    assert ways[0, 0, 0, 0] == 1 and ways[0, 0, 6, 6] == ways.max() > 1000


@claim("width")
def test_widths_are_judged_within_15_percent() -> None:
    (found,) = PURE.call(("judges", "pathsWidthOf", DATA, 64))
    given = {"right": found * 1.14, "high": found * 1.2, "low": found * 0.8, "field": 129}
    verdicts = PURE.judged(
        "judgePathsWidth", "width",
        *({"given": each, "reading": {"depth": 16}} for each in given.values()),
    )  # fmt: skip
    assert [verdict["say"] for verdict in verdicts] == list(given)
    values = verdicts[1]["values"]
    assert (values["few"], values["many"]) == (4, 16)
    assert verdicts[0]["values"]["share"] < 0.06


@claim("block")
def test_convolutions_reach_their_box_to_the_pixel_and_the_block_goes_beyond(
    model: nlviz.Model,
) -> None:
    nets = {net.name: net for net in paths_fields.networks(model.net)}
    clips = paths.two_frames()[:1]
    for name in ("trained", "residual"):
        gradient = paths_fields.squared_gradient(nets[name].features, clips, paths.UNIT)
        assert gradient[1].max() == 0
        for axis, size in enumerate(clips[0].shape[3:]):
            ends = paths_fields.reach(
                paths_fields.layers_of(nets[name].modules, size), paths.UNIT[1 + axis]
            )
            seen = torch.nonzero(gradient[0].sum(1 - axis))[:, 0]
            assert (int(seen[0]), int(seen[-1])) == ends
    beyond = paths_fields.squared_gradient(nets["block"].features, clips, paths.UNIT, 1)
    assert (beyond > 0).all()


@claim("block")
def test_the_maps_are_those_of_the_recipe(
    model: nlviz.Model, stored: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    head, arrays = stored
    nets = tuple(net for net in paths_fields.networks(model.net) if net.name == "block")
    fields, maps = paths.measured(nets, paths.two_frames())
    assert {**fields[0], "rows": [*fields[0]["rows"]], "columns": [*fields[0]["columns"]]} == next(
        about for about in head["fields"] if about["name"] == "block"
    )
    np.testing.assert_allclose(arrays["field_block"], maps["field_block"], rtol=2e-2, atol=1e-8)


@claim("block")
def test_the_map_of_the_block_is_told_by_what_lies_beyond_the_box(
    stored: tuple[dict[str, Any], dict[str, Any]],
) -> None:
    head, arrays = stored
    verdicts = PURE.judged("judgePathsBlock", "block", *({"given": each} for each in "abcd"))
    assert [verdict["say"] for verdict in verdicts] == ["inside", "inside", "right", "inside"]
    assert all(verdicts[n]["values"]["outside"] == 0 for n in (0, 1, 3))
    about = {each["name"]: each for each in head["fields"]}
    block = arrays["field_block"].astype(np.float64)
    (first, last), (left, right) = about["block"]["rows"], about["block"]["columns"]
    beyond = 1 - block[0, first : last + 1, left : right + 1].sum() / block.sum()
    values = verdicts[2]["values"]
    assert values["outside"] == pytest.approx(beyond, abs=1e-9) and 1e-5 < beyond < 1e-3
    # "Both stay so wide": the block hardly widens the effective field; training narrowed it.
    assert about["block"]["width"] == about["trained"]["width"] == values["width"]
    assert about["untrained"]["width"] > about["trained"]["width"]
    figure = PURE.screen("block")["figure"]
    assert figure["floor"] == 1e-11 and "10⁻¹¹" in figure["labels"]["said_log"]["en"]
    assert values["twin_outside"] == 0 and arrays["field_block"][1].min() > 0


def pixels(jpeg: np.ndarray) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(jpeg.tobytes()))).astype(int)


@claim("weights")
def test_rows_in_the_browser_are_those_of_the_library(
    model: nlviz.Model, stored: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    head, arrays = stored
    about, anew = paths_rows.rows_of_pictures(model)
    assert head["block"] == pytest.approx(about)
    for name, array in anew.items():
        if name.startswith("picture"):
            kept, made = (pixels(each) for each in (arrays[name], array))
            assert kept.shape == (360, 640, 3) and np.abs(kept - made).mean() < 1
            continue
        np.testing.assert_allclose(
            arrays[name].astype(np.float64), array.astype(np.float64), atol=4e-3, err_msg=name
        )
    shown = paths_rows.pictures()
    first = paths_rows.captured(model, shown["first"])
    other = paths_rows.captured(model, shown["other"])
    row, moved_to = first.rows([185])[0, 0], other.rows([185])[0, 0]
    found, changed, moved = PURE.call(
        ("judges", "pathsRowOf", DATA, "first", 185),
        ("judges", "pathsRowOf", DATA, "other", 185),
        ("weights", "pathsMoved", row.tolist(), moved_to.tolist()),
    )
    np.testing.assert_allclose(found, row, atol=2e-3)
    np.testing.assert_allclose(changed, moved_to, atol=2e-3)
    assert moved == pytest.approx(float((row - moved_to).abs().sum()) / 2, abs=1e-6)
    film = nlviz.read_clip(nlviz.bundled_inputs()["composed-twins.mp4"])
    assert film.times[48] - film.times[0] == pytest.approx(2, abs=0.05)


@claim("weights")
def test_jacobians_of_fixed_layers_do_not_know_the_picture(model: nlviz.Model) -> None:
    torch.manual_seed(0)
    one, other = torch.randn(2, 1, 3, 6, 7)

    def weights(layer: nn.Module, x: torch.Tensor) -> torch.Tensor:
        def of(given: torch.Tensor) -> torch.Tensor:
            found: torch.Tensor = layer(given.flatten(2)).reshape(-1)
            return found

        return torch.autograd.functional.jacobian(of, x)  # type: ignore[no-any-return]

    fixed = nn.Sequential(nn.Unflatten(2, (6, 7)), nn.Conv2d(3, 2, 5, padding=2), nn.Flatten(2))
    for layer in (fixed, nn.Linear(42, 5)):
        assert torch.equal(weights(layer, one), weights(layer, other))
    block = NonLocalBlock(3, dimension=1, norm=False)
    nn.init.normal_(block.out.weight)
    assert not torch.allclose(weights(block, one), weights(block, other), atol=1e-3)
    kernel = model.net.backbone.blocks[4][2].conv_dw.weight[0, 0]
    np.testing.assert_array_equal(kernel, data("paths")[1]["kernel"])
    (laid,) = PURE.call(("weights", "pathsConvolved", kernel.flatten().tolist(), 1 * 9 + 8, 7, 9))
    wanted = np.zeros((11, 13))
    wanted[1:6, 8:13] = kernel
    np.testing.assert_allclose(np.reshape(laid, (7, 9)), wanted[2:9, 2:11], atol=1e-7)
    again, once, third = PURE.call(*(("weights", "pathsConnected", q, 350) for q in (5, 5, 6)))
    assert again == once != third
    assert np.abs(again).max() <= 350**-0.5 and abs(np.mean(again)) < 0.2 * 350**-0.5


@claim("weights")
def test_more_than_half_moves_at_some_places_and_by_brightness_at_none() -> None:
    answers = [
        {"reading": {"kind": "nonlocal", "picture": picture, "query": query}}
        for picture in PICTURES
        for query in range(350)
    ]
    verdicts = PURE.judged("judgePathsMoved", "weights", *answers)
    rights = np.reshape([verdict["right"] for verdict in verdicts], (3, 350)).sum(1)
    assert rights[0] == 0 < rights[1] < rights[2] < 175
    assert {verdict["say"] for verdict in verdicts} == {"right", "brighter", "little", "kept"}
    for verdict in verdicts:
        if verdict["say"] == "right":
            assert verdict["values"]["brighter"] < 0.2 < 0.5 < verdict["values"]["moved"]
    arrays = data("paths")[1]

    def rows_on(name: str) -> torch.Tensor:
        """All rows of the block on a picture, from what its layers gave."""
        theta, phi = (torch.tensor(arrays[f"{part}_{name}"]).float() for part in ("theta", "phi"))
        scale = data("paths")[0]["block"]["scale"]
        found: torch.Tensor = (scale * theta @ phi.T).softmax(-1)
        return found

    first = rows_on("first")
    for n, picture in enumerate(PICTURES[1:], start=1):
        there = rows_on(picture)
        moved = (first - there).abs().sum(-1) / 2
        keeps = torch.minimum(first.diagonal(), there.diagonal())
        assert (moved <= 1 - keeps + 1e-5).all()  # what a cell keeps for itself cannot move
        for query, verdict in enumerate(verdicts[n * 350 : (n + 1) * 350]):
            assert (verdict["say"] == "kept") == (float(keeps[query]) >= 0.5)
            if verdict["say"] == "kept":
                assert verdict["values"]["most"] == pytest.approx(1 - float(keeps[query]), abs=1e-4)
    (fixed,) = PURE.judged(
        "judgePathsMoved", "weights",
        {"reading": {"kind": "connected", "picture": "other", "query": 3}},
    )  # fmt: skip
    assert fixed["say"] == "fixed" and fixed["values"]["moved"] == 0


@claim("sizes")
def test_a_fully_connected_layer_refuses_what_the_others_take() -> None:
    few, many, channels = 14 * 25, 28 * 50, 112
    layers = {
        "convolution": nn.Conv2d(channels, channels, 3, padding=1),
        "connected": nn.Linear(few, few, bias=False),
        "nonlocal": nlviz.load_model("lite-nl", device="cpu").net.stage4,
    }
    (learned, grown) = PURE.call(
        ("weights", "pathsLearned", few, channels), ("weights", "pathsLearned", many, channels)
    )
    assert learned == {
        name: sum(p.numel() for p in each.parameters()) for name, each in layers.items()
    }
    assert grown["connected"] == 16 * learned["connected"]
    assert {n: grown[n] for n in ("convolution", "nonlocal")} == {
        n: learned[n] for n in ("convolution", "nonlocal")
    }
    x = torch.randn(1, channels, 28, 50)
    with torch.no_grad():
        assert layers["convolution"](x).shape == x.shape
        assert layers["nonlocal"](x[:, :, None]).shape == (1, channels, 1, 28, 50)
        with pytest.raises(RuntimeError):
            layers["connected"](x.flatten(2))
    assert data("paths")[0]["numbers"]["block_weights"] == learned["nonlocal"]


@claim("sizes")
def test_rows_sum_to_1_at_every_size_and_are_those_of_the_library(
    model: nlviz.Model, stored: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    head, arrays = stored
    for each in head["sizes"]:
        row = arrays[f"row_{each['size']}"]
        assert row.shape == (each["rows"], each["columns"])
        assert row.sum() == pytest.approx(1, abs=1e-5)
    sizes, rows = paths_rows.rows_at_sizes(model, *paths.QUERY, sizes=(64, 224))
    for each in sizes:
        assert {**each, "query": [*each["query"]]} in head["sizes"]
        name = f"row_{each['size']}"
        np.testing.assert_allclose(arrays[name], rows[name], atol=2e-4)
    truth = np.load(nlviz.bundled_inputs()["composed-twins.mp4"].with_suffix(".npz"))
    layer = truth["labels"][0][int(paths.QUERY[0]), int(paths.QUERY[1])]
    assert (truth["twins"] == truth["twins"][layer]).sum() == 2  # one of two cups


@claim("sizes")
def test_growth_is_judged_by_pairs() -> None:
    given = {"right": 16, "side": 2, "cells": 4, "low": 8, "high": 64}
    verdicts = PURE.judged("judgePathsGrowth", "sizes", *({"given": n} for n in given.values()))
    assert [verdict["say"] for verdict in verdicts] == list(given)
    values = verdicts[0]["values"]
    assert (values["few"], values["many"]) == (350, 1400)
    assert values["uniform_few"] == 1 / 350 and values["to"] == 1400**2
