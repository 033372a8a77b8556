"""What lesson 7 says of CoAtNet's layouts, of VOLO and of Focal, computed again."""

from __future__ import annotations

import itertools
import json
from typing import Any

import numpy as np
import pytest
import torch

import nlviz
from nlviz.networks.coatnet import LAYOUTS, coatnet
from nlviz.recipes.coatnet_measures import SHIFTS, answers
from nlviz.recipes.coatnet_results import apart
from nlviz.recipes.lessons.attention_layouts import (
    START,
    along,
    bundled,
    chosen,
    drawn,
    first_to_change,
)
from nlviz.recipes.lessons.attention_operators import (
    BLOCK,
    CELLS,
    WINDOW,
    outlook,
    picture,
    small_volo,
)
from nlviz.recipes.placed_digits import DIGIT, REACH, SEEN, planes
from nlviz.resources import asset
from nlviz.web.payloads.container import unpack
from tests.lessons.claims import claim
from tests.lessons.pure import DATA, Pure

HEAD, ARRAYS = unpack(asset("lessons/attention/data.safetensors").read_bytes())
PURE = Pure("attention")
RESULTS = json.loads(asset("lessons/coatnet-layouts.json").read_text("utf-8"))
NUMBERS, LAYOUT_HEAD = HEAD["numbers"], HEAD["layouts"]


@claim("layouts")
def test_what_is_drawn_is_what_the_bundled_networks_answer() -> None:
    nets, pictures = bundled(), drawn()
    numbers = chosen(nets)
    assert LAYOUT_HEAD["digits"] == [int(pictures.digits[n]) for n in numbers]
    assert (ARRAYS["layouts.planes"] == pictures.values[numbers]).all()
    rng = np.random.default_rng(0)
    for which, number in enumerate(numbers):
        for y, x in [START, *rng.integers(0, REACH + 1, (5, 2)).tolist()]:
            corners = np.broadcast_to([y, x], (len(pictures.digits), 2))
            given = answers(nets, pictures.window(corners))
            for layout, name in enumerate(LAYOUTS):
                assert given[name][number] == ARRAYS["layouts.answers"][which, layout, y, x]


@claim("layouts")
def test_one_layout_alone_changes_and_the_judge_finds_it() -> None:
    nets, pictures = bundled(), drawn()
    way = along(nets, pictures, down=True)[chosen(nets)[0]]
    assert (way[:, 0] == LAYOUT_HEAD["digits"][0]).all()  # all are right in the beginning
    first, after = first_to_change(way)
    assert first is not None
    assert NUMBERS["layouts_digit"] == way[0, 0]
    assert way.shape[1] - 1 - after[first] <= 2  # pixels left: next to the border  # type: ignore[operator]
    screen = PURE.screen("layouts")
    assert (screen["figure"]["way"], screen["figure"]["picture"]) == ("down", 0)
    told = PURE.call(
        *(
            ("layouts_maths", "judgeLayouts", {"given": o["id"], "data": DATA, "spec": screen})
            for o in screen["question"]["options"]
        )
    )
    for n, verdict in enumerate(told):
        assert verdict["right"] == (n == first)
        wanted = "right" if n == first else "never" if after[n] is None else "later"
        assert verdict["say"] == wanted
        assert verdict["values"]["pixels"] == after[n]
        assert verdict["values"]["chosen"] == LAYOUTS[n]
        assert verdict["values"]["way"] == REACH - START[1]


@claim("layouts")
def test_changes_are_found_on_both_ways() -> None:
    nets, pictures = bundled(), drawn()
    for down, number in itertools.product((False, True), range(2)):
        found = PURE.call(("layouts_maths", "layoutsOf", DATA, number))[0]
        assert found["digit"] == LAYOUT_HEAD["digits"][number]
        way = along(nets, pictures, down=down)[chosen(nets)[number]]
        table = ARRAYS["layouts.answers"][number]
        cut = table[:, START[0] :, START[1]] if down else table[:, START[0], START[1] :]
        assert (cut == way).all()


@claim("layouts")
def test_what_is_lost_at_other_places_is_that_of_the_measures() -> None:
    for layout in LAYOUTS:
        told = RESULTS["layouts"][layout]["measures"]
        lost = NUMBERS[f"layouts_{layout.replace('-', '').lower()}"]
        assert lost == told["gap"]["mean"]
        assert lost == pytest.approx(told["seen"]["mean"] - told["unseen"]["mean"], abs=2e-4)
    against = RESULTS["layouts"]["C-C-C-T"]["against"]["gap"]
    assert apart(against) == -1  # the text sets C-C-C-T against C-C-C-C: the two differ


@claim("layouts")
def test_shares_under_the_maps_are_those_of_the_measures() -> None:
    shift = f"shift {SHIFTS[-1]}"
    told = [RESULTS["layouts"][layout]["measures"][shift] for layout in LAYOUTS]
    assert LAYOUT_HEAD["stay"] == [t["mean"] for t in told]
    assert [np.mean(list(t["seeds"].values())) for t in told] == pytest.approx(
        LAYOUT_HEAD["stay"], abs=2e-4
    )
    assert NUMBERS["layouts_pictures"] == RESULTS["task"]["pictures"]
    assert NUMBERS["layouts_seeds"] == len(told[0]["seeds"])
    assert NUMBERS["layouts_shift"] == SHIFTS[-1] == SEEN


@claim("layouts")
def test_layouts_are_of_one_size_and_saw_the_upper_left_quarter() -> None:
    sizes = [sum(p.numel() for p in coatnet(layout).parameters()) for layout in LAYOUTS]
    assert max(sizes) / min(sizes) < 1.01
    assert (LAYOUT_HEAD["seen"], LAYOUT_HEAD["reach"]) == (SEEN, REACH)
    assert REACH == 2 * SEEN
    assert LAYOUT_HEAD["side"] == REACH + DIGIT


@claim("layouts")
def test_kernels_and_biases_treat_places_alike_and_borders_and_strides_do_not() -> None:
    net: Any = nlviz.load_model("coatnet.c-c-t-t", device="cpu").net
    torch.manual_seed(0)
    x = torch.randn(1, 16, 16, 16)
    kernel = net.stages[1].blocks[0].conv2_kxk
    wide = x.repeat(1, kernel.in_channels // 16, 1, 1)
    with torch.no_grad():
        apart = kernel(wide.roll(3, 3)) - kernel(wide).roll(3, 3)
        assert float(apart[..., 1:-1, 4:-1].abs().max()) < 1e-5  # away from borders
        assert float(apart.abs().max()) > 1e-2  # at them
        pooled = net.stages[1].blocks[0].shortcut.pool
        odd = pooled(x.roll(1, 3)) - pooled(x).roll(1, 3)
        assert float(odd.abs().mean()) > 0.1  # a stride of 2, moved by 1
        even = pooled(x.roll(2, 3)) - pooled(x).roll(1, 3)
        assert float(even.abs().max()) < 1e-6
    bias = net.stages[2].blocks[0].attn.rel_pos.get_bias()[0].detach()
    places = [(y, x) for y in range(4) for x in range(4)]
    of_offset: dict[tuple[int, int], torch.Tensor] = {}
    for (i, (qy, qx)), (j, (ky, kx)) in itertools.product(enumerate(places), enumerate(places)):
        offset = (ky - qy, kx - qx)
        assert torch.equal(of_offset.setdefault(offset, bias[:, i, j]), bias[:, i, j])


@claim("layouts")
def test_a_moved_digit_moves_with_what_surrounds_it() -> None:
    one = planes(1, seed=1)
    here, there = (one.window(np.array([[8, x]]))[0] for x in (8, 13))
    assert (there[:, 5:] == here[:, :-5]).all()


@claim("outlook-focal")
def test_volos_rows_are_those_of_its_windows() -> None:
    """From the weights that its linear layer writes, window by window."""
    net, kept = small_volo(), []
    module = net.get_submodule(BLOCK)
    module.register_forward_pre_hook(lambda _, args: kept.append(args[0]))
    card = net.pretrained_cfg
    frame = torch.from_numpy(picture()).permute(2, 0, 1)[None].float() / 255
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    normal = (frame - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]
    assert card["input_size"] == (3, 224, 224)
    with torch.no_grad():
        net(normal)
        centres = module.pool(kept[0].permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        written = module.attn(centres)[0].reshape(14, 14, 3, 9, 9) * module.scale
        weights = written.softmax(-1)
    near = ARRAYS["operators.outlook"].astype(np.float64)
    for y, x in ((0, 0), (13, 13), (14, 13), (6, 21), (27, 27)):
        row = np.zeros((28, 28))
        for i, j in itertools.product(range(14), range(14)):
            top, left = 2 * i - 1, 2 * j - 1  # padding 1, stride 2
            if not (top <= y < top + 3 and left <= x < left + 3):
                continue
            of = weights[i, j, :, (y - top) * 3 + x - left].mean(0).reshape(3, 3)
            for dy, dx in itertools.product(range(3), range(3)):
                if 0 <= top + dy < 28 and 0 <= left + dx < 28:
                    row[top + dy, left + dx] += float(of[dy, dx])
        padded = np.pad(row, 2)[y : y + 5, x : x + 5]
        assert np.abs(padded - near[y, x]).max() < 2e-3
    level = weights.numpy() * 9
    assert 0.5 < level.min() < level.max() < 2  # untrained: nearly level


@claim("outlook-focal")
def test_volo_compares_no_query_with_a_key_and_reaches_few_cells() -> None:
    affinity = outlook()
    assert affinity.pairwise.name == "effective_operator"
    assert NUMBERS["operators_cells"] == affinity.queries.size
    near = ARRAYS["operators.outlook"]
    counts = (near > 0).sum((2, 3))
    assert (NUMBERS["operators_least"], NUMBERS["operators_most"]) == (counts.min(), counts.max())
    queries = [(0, 0), (13, 13), (13, 14), (27, 5)]
    told = PURE.call(*(("operators_maths", "operatorsOutlook", DATA, list(q)) for q in queries))
    for (y, x), found in zip(queries, told, strict=True):
        assert found["keys"] == counts[y, x]
        row = affinity.rows(torch.tensor([y * 28 + x])).mean(0)[0]
        values = found["row"]
        values = [values[str(n)] for n in range(784)] if isinstance(values, dict) else values
        assert np.abs(np.asarray(values) - row.numpy()).max() < 1e-3


def focal(ring: int, pooled: int, query: tuple[int, int]) -> tuple[int, float]:
    """Count keys and reached cells one by one."""
    own = tuple(n // WINDOW for n in query)
    windows = range(CELLS // WINDOW)
    half = (pooled - 1) // 2
    pools = {
        (y, x)
        for y in windows
        for x in windows
        if pooled and max(abs(y - own[0]), abs(x - own[1])) <= half
    }
    fine = 0
    reached = set()
    for y, x in itertools.product(range(CELLS), repeat=2):
        gaps = [
            max(o * WINDOW - n, n - (o * WINDOW + WINDOW - 1), 0)
            for o, n in zip(own, (y, x), strict=True)
        ]
        near = max(gaps) <= ring
        fine += near
        if near or (y // WINDOW, x // WINDOW) in pools:
            reached.add((y, x))
    return fine + len(pools), len(reached) / CELLS**2


@claim("outlook-focal")
def test_focal_keys_are_counted_as_one_by_one() -> None:
    cases = [
        (3, 7, (30, 30)),
        (0, 1, (0, 55)),
        (21, 1, (26, 31)),
        (5, 15, (13, 50)),
        (3, 9, (2, 9)),
    ]
    told = PURE.call(
        *(
            (
                "operators_maths",
                "operatorsFocal",
                {"cells": CELLS, "window": WINDOW, "ring": r, "pooled": p, "query": list(q)},
            )
            for r, p, q in cases
        )
    )
    for case, found in zip(cases, told, strict=True):
        assert (found["keys"], found["reached"]) == pytest.approx(focal(*case))
    # Focal-Tiny's first stage, as its paper has it: 13 x 13 cells and 7 x 7 windows.
    assert told[0]["keys"] == 13**2 + 7**2
    assert NUMBERS["operators_dense"] == CELLS**2


@claim("outlook-focal")
def test_the_judge_wants_all_of_the_picture_for_few_keys() -> None:
    screen = PURE.screen("outlook-focal")
    figure = screen["figure"]
    query = tuple(figure["query"])
    settings = list(
        itertools.product(
            range(figure["ring"]["least"], figure["ring"]["most"] + 1, 3),
            range(figure["pooled"]["least"], figure["pooled"]["most"] + 1, 2),
        )
    )
    told = PURE.call(
        *(
            (
                "operators_maths",
                "judgeOperators",
                {
                    "reading": {
                        "cells": CELLS,
                        "window": WINDOW,
                        "ring": ring,
                        "pooled": pooled,
                        "query": list(query),
                    },
                    "spec": screen,
                },
            )
            for ring, pooled in settings
        )
    )
    for (ring, pooled), verdict in zip(settings, told, strict=True):
        keys, reached = focal(ring, pooled, query)
        right = reached == 1 and keys < figure["limit"]
        assert verdict["right"] == right
        if not right:
            assert verdict["say"] == ("too-many" if reached == 1 else "not-whole")
    assert {verdict["say"] for verdict in told} == {"right", "too-many", "not-whole"}
    assert "fewer than 300" in screen["question"]["text"]["en"]
    assert figure["limit"] == 300
    assert not told[settings.index((3, 3))]["right"]  # as it opens
