"""Make the data of the lesson on the choice of f: trained networks, small enough to run in a page.

The browser gets the features of a few held-out clips and the weights of block and head, and
computes rows and answers itself. What the texts quote is from the model cards and from the figures
of ``nlviz.recipes.recall_results``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from nlviz.networks.block import NonLocalBlock
from nlviz.networks.recall import COLOURS, RecallNL, RecallPairwise, RecallTask
from nlviz.recipes.recall import pixels, read
from nlviz.recipes.recall_card import name_of
from nlviz.recipes.recall_clips import RecallClips, recall_clips
from nlviz.recipes.recall_measures import Batch, logits_and_rows, measured
from nlviz.recipes.recall_page import ORDER, over_seeds
from nlviz.recipes.recall_results import RESULTS, known
from nlviz.resources import asset
from nlviz.web.payloads.container import pack

CLIPS, DRAWN, SEED = 8, 300, 52
MEASURED = 200  # clips, for where rows lie
TASKS: tuple[RecallTask, ...] = ("recall", "single", "missing")
MEASURES = ("whole", "bypassed", "asked frame", "other frame", "uniform")
Arrays = dict[str, npt.NDArray[Any]]


def bundled(task: RecallTask, kind: RecallPairwise) -> RecallNL:
    """Return a bundled network."""
    return read(asset(f"weights/{name_of(task, kind)}.safetensors"), kind)


def shown(task: RecallTask) -> tuple[RecallClips, list[int]]:
    """Return clips and which of them the lesson shows.

    Of ``recall`` the first that embedded Gaussian and dot product answer rightly; of ``single`` as
    many that the Gaussian answers wrongly as rightly, in turn.
    """
    drawn = recall_clips(DRAWN, seed=SEED, task=task)
    labels = torch.from_numpy(drawn.labels(task))

    def fits(kind: RecallPairwise) -> list[bool]:
        with torch.no_grad():
            found: list[bool] = (bundled(task, kind)(pixels(drawn)).argmax(1) == labels).tolist()
        return found

    if task == "recall":
        both = zip(fits("embedded_gaussian"), fits("dot_product"), strict=True)
        return drawn, [n for n, (a, b) in enumerate(both) if a and b][:CLIPS]
    right = fits("gaussian")
    turns = zip(
        [n for n, fit in enumerate(right) if not fit],
        [n for n, fit in enumerate(right) if fit],
        strict=False,
    )
    return drawn, [n for pair in turns for n in pair][:CLIPS]


def make() -> bytes:
    """Return the bytes of the lesson's data.

    >>> from nlviz.web.payloads.container import unpack
    >>> header, arrays = unpack(make())
    >>> header["clips"]["recall"]["asked"][0] in range(4), arrays["pixels.recall"].shape
    (True, (8, 5, 32, 32, 3))
    """
    arrays: Arrays = {}
    clips: dict[str, Any] = {}
    nets: dict[str, Any] = {}
    drawn = {task: shown(task) for task in ("recall", "single")}
    for task, (found, which) in drawn.items():
        arrays[f"pixels.{task}"] = found.frames[which]
        covered = [found.covered(n, int(found.asked[n])).ravel().nonzero()[0] for n in which]
        clips[task] = {
            "asked": found.asked[which].tolist(),
            "covered": [cells.tolist() for cells in covered],
            "grey": [list(found.centre(n, 4)) for n in which],
            "recall": found.labels("recall")[which].tolist(),
            "single": found.labels("single")[which].tolist(),
            "missing": found.labels("missing")[which].tolist(),
        }
    trunks: list[RecallNL] = []
    for task in TASKS:
        of = "single" if task == "single" else "recall"
        found, which = drawn[of]
        for kind in ORDER:
            net = bundled(task, kind)
            trunk = next((n for n, t in enumerate(trunks) if _same_trunk(t, net)), len(trunks))
            if trunk == len(trunks):
                trunks.append(net)
            features = f"x.{of}.{trunk}"
            if features not in arrays:
                with torch.no_grad():
                    x = net.cells(pixels(found)[which])
                arrays[features] = x.flatten(2).mT.half().numpy()
            name = f"{task}.{kind}"
            arrays |= {f"{name}.{part}": array for part, array in _weights(net)}
            nets[name] = {"f": kind, "task": task, "clips": of, "features": features}
    results = known(asset(RESULTS))
    numbers = dict(_numbers(results))
    figures = {
        task: {
            kind: {name: over_seeds(results, task, kind, "right", name) for name in MEASURES}
            for kind in ORDER
        }
        for task in TASKS
    }
    header = {
        "numbers": numbers,
        "clips": clips,
        "nets": nets,
        "figures": figures,
        "colours": list(COLOURS),
    }
    return pack(header, arrays)


def _numbers(results: dict[str, Any]) -> Iterator[tuple[str, float]]:
    short = {"embedded_gaussian": "eg", "dot_product": "dot", "gaussian": "g", "concatenation": "c"}
    for task in TASKS:
        for kind in ORDER:
            card = asset(f"weights/{name_of(task, kind)}.json").read_text("utf-8")
            right = json.loads(card)["validation"]["right of 1000 held-out clips"]
            yield f"{task}_{short[kind]}", right
    rows = {
        kind: measured(bundled("recall", kind), "recall", clips=MEASURED)["rows"]
        for kind in ORDER[:2]
    }
    yield "eg_on", rows["embedded_gaussian"]["on the asked digit"]
    yield "dot_signed", rows["dot_product"]["on the asked digit, signed"]
    yield "eg_one", _on_one_digit()
    # The bundled networks are of one seed: what the others came to is told beside them.
    yield "low", min(over_seeds(results, "recall", "embedded_gaussian", "right", "whole"))
    yield "g_mean", float(np.mean(over_seeds(results, "single", "gaussian", "right", "whole")))
    yield "guess", 1 / len(COLOURS)
    yield "clips", CLIPS
    yield "seeds", len(results["networks"]["recall.gaussian"])


def _on_one_digit() -> float:
    """Return the largest share of a row on one coloured digit: ``missing``, embedded Gaussian.

    The query is the middle of the grey digit; the mean over held-out clips.
    """
    net = bundled("missing", "embedded_gaussian")
    drawn = recall_clips(MEASURED, seed=SEED, task="missing")
    with torch.no_grad():
        batch = Batch(net.cells(pixels(drawn)), drawn)
        _, rows = logits_and_rows(net, batch)
    queries = [_cell_of(*drawn.centre(n, 4)) for n in range(MEASURED)]
    own = rows[torch.arange(MEASURED), queries]
    on = (own[:, None] * batch.digits()).sum(-1)
    return float(on.max(1).values.mean())


def _cell_of(y: int, x: int) -> int:
    """Return which of the 64 cells of a frame holds a pixel."""
    return y // 4 * 8 + x // 4


def _weights(net: RecallNL) -> Iterator[tuple[str, npt.NDArray[np.float32]]]:
    """Yield the weights of block and head."""
    block = net.nl
    assert isinstance(block, NonLocalBlock)
    for name, value in (*block.named_parameters(), *net.where.named_parameters("where"),
                        *net.head.named_parameters("head")):  # fmt: skip
        yield name, value.detach().flatten(1 if value.dim() > 1 else 0).numpy().astype(np.float32)


def _same_trunk(one: RecallNL, other: RecallNL) -> bool:
    pairs = zip(one.trunk.state_dict().values(), other.trunk.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)
