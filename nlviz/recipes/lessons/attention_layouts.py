"""CoAtNet's layouts in the lesson on self-attention: what each answers, wherever the digit stands.

The bundled networks read two digits that training never saw at each of 41 x 41 places. Nothing is
chosen by hand: of held-out pictures the first one is taken of which one layout alone changes its
answer on the way down, and the first one on the way to the right; see ``chosen``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from nlviz.errors import NlvizError
from nlviz.networks.coatnet import LAYOUTS, SIDE, Layout
from nlviz.recipes.coatnet_measures import SEED, SHIFTS, answers, nets_of
from nlviz.recipes.lessons.attention_part import Part
from nlviz.recipes.placed_digits import DIGIT, REACH, SEEN, Planes, planes
from nlviz.resources import asset

START = (8, 8)  # y and x, a place of training
POOL = 40  # held-out pictures that are looked through
Table = npt.NDArray[np.uint8]


def bundled() -> dict[Layout, Any]:
    """Return the bundled networks by layout."""
    return nets_of([asset(f"weights/coatnet.{name.lower()}.safetensors") for name in LAYOUTS])


def drawn() -> Planes:
    """Return the held-out pictures that are looked through."""
    return planes(POOL, seed=SEED + 5)


def along(nets: Mapping[Layout, Any], pictures: Planes, *, down: bool) -> Table:
    """Return (pictures, layouts, places): answers on the way to the right, or down.

    The way begins at ``START`` and ends at the border.
    """
    places = range(START[0] if down else START[1], REACH + 1)
    found = []
    for at in places:
        corner = (at, START[1]) if down else (START[0], at)
        corners = np.broadcast_to(corner, (len(pictures.digits), 2))
        given = answers(nets, pictures.window(corners))
        found.append(np.stack([given[layout] for layout in LAYOUTS], 1))
    return np.stack(found, -1).astype(np.uint8)


def first_to_change(way: Table) -> tuple[int | None, list[int | None]]:
    """Return which layout alone changes its answer first, and after how many pixels each does.

    Args:
        way: (layouts, places) answers, from the beginning of a way on.

    >>> first_to_change(np.array([[7, 7, 7], [7, 7, 1], [7, 2, 7]]))
    (2, [None, 2, 1])
    """
    changes = [np.flatnonzero(answer != answer[0]) for answer in way]
    after = [int(found[0]) if len(found) else None for found in changes]
    told = sorted((pixels, n) for n, pixels in enumerate(after) if pixels is not None)
    alone = told and (len(told) == 1 or told[0][0] < told[1][0])
    return (told[0][1] if alone else None), after


def chosen(nets: Mapping[Layout, Any]) -> list[int]:
    """Return the numbers of two pictures that all layouts read rightly in the beginning.

    The first of which one layout alone changes its answer on the way down, and the first other one
    of which one alone does on the way to the right.

    Raises:
        NlvizError: where there is none among the pictures that are looked through.
    """
    pictures = drawn()
    found: list[int] = []
    for down in (True, False):
        ways = along(nets, pictures, down=down)
        right = (ways[:, :, 0] == pictures.digits[:, None]).all(1)
        able = [
            int(n)
            for n in np.flatnonzero(right)
            if n not in found and sum(a is not None for a in first_to_change(ways[n])[1]) == 1
        ]
        if not able:
            raise NlvizError(
                f"one of {POOL} pictures must be changed by one layout alone, none is; look "
                "through more"
            )
        found.append(able[0])
    return found


def everywhere(nets: Mapping[Layout, Any], pictures: Planes, number: int) -> Table:
    """Return (layouts, 41, 41): the answer of each network with the digit at each place."""
    one = Planes(
        np.repeat(pictures.values[number : number + 1], REACH + 1, 0),
        np.repeat(pictures.digits[number : number + 1], REACH + 1),
        np.repeat(pictures.writings[number : number + 1], REACH + 1),
    )
    rows = []
    for y in range(REACH + 1):
        corners = np.stack([np.full(REACH + 1, y), np.arange(REACH + 1)], 1)
        given = answers(nets, one.window(corners))
        rows.append(np.stack([given[layout] for layout in LAYOUTS]))
    return np.stack(rows, 1).astype(np.uint8)


def part() -> Part:
    """Return the part of the lesson's data; keys begin with ``layouts``."""
    nets, pictures = bundled(), drawn()
    numbers = chosen(nets)
    results = json.loads(asset("lessons/coatnet-layouts.json").read_text("utf-8"))
    shift = f"shift {SHIFTS[-1]}"
    told: dict[str, float] = {
        "layouts_pictures": results["task"]["pictures"],
        "layouts_seeds": len(results["task"]["seeds"]),
        "layouts_shift": SHIFTS[-1],
        "layouts_digit": int(pictures.digits[numbers[0]]),
    }
    for layout in LAYOUTS:
        lost = results["layouts"][layout]["measures"]["gap"]["mean"]
        told[f"layouts_{layout.replace('-', '').lower()}"] = lost
    head: dict[str, Any] = {
        "names": list(LAYOUTS),
        "digits": [int(pictures.digits[n]) for n in numbers],
        "start": list(START),
        "seen": SEEN,
        "reach": REACH,
        "digit": DIGIT,
        "side": SIDE,
        "stay": [results["layouts"][n]["measures"][shift]["mean"] for n in LAYOUTS],
    }
    arrays = {
        "layouts.planes": pictures.values[numbers],
        "layouts.answers": np.stack([everywhere(nets, pictures, n) for n in numbers]),
    }
    return Part(told, {"layouts": head}, arrays)
