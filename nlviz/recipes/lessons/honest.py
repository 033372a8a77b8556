"""Data of the lesson *Read a map honestly*: embeddings of real runs, and what cutting them does.

Every map of the lesson is a row that the browser computes from theta and phi. What no browser can
compute, a pass through the rest of a network, is done here.

section                what it holds
``KEY.theta``          (heads, queries, d) of the map KEY; those without a place first
``KEY.phi``            (heads, keys, d)
``KEY.seen``           (t, H, W, 3) uint8, what is seen, in pixels that cells divide evenly
``KEY.values``         (keys,) |g_j|, where the lesson speaks of values
``recall.N.*``         of clip N: ``told`` (keys, 5), what each key's value tells the head, in
                       logits of the colours; ``read`` (cells,), how much the head reads of each
                       cell of the last frame; ``own`` (5,), the logits without the block
``cut.lite``           (queries,) change of the answer's log-odds where the strong links are cut
``chance.lite``        (queries,) the largest change where as many are cut at random
``quiz.N.*``           see ``honest_quiz``

The header has under "maps" what each KEY is: grid, pairwise function, and what the lesson asks.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

import nlviz
from nlviz.analysis import verdict as rules
from nlviz.analysis.row_effect import log_odds, strong_links
from nlviz.analysis.row_origin import in_common
from nlviz.analysis.verdict import verdict
from nlviz.captures.capture import Capture
from nlviz.captures.model import Model
from nlviz.clips.clip import Clip, read_clip
from nlviz.clips.text import read_text
from nlviz.families.reading.adapter import InputSpec
from nlviz.interventions import CutEdges, Rerun
from nlviz.networks.block import NonLocalBlock
from nlviz.networks.recall import COLOURS, RecallNL
from nlviz.recipes import planted
from nlviz.recipes.composed import compose
from nlviz.recipes.lessons.honest_maps import Arrays, embedded, keep, seen
from nlviz.recipes.lessons.honest_quiz import quiz
from nlviz.recipes.recall_clips import RecallClips, recall_clips
from nlviz.resources import asset
from nlviz.web.payloads.container import pack
from nlviz.zoo.load import load_model

CLIPS, CLIPS_SEED = 200, 4001  # of the recall task, digits that training never saw
SHOWN = (0, 1, 2, 4, 5, 7)  # of these, in the lesson; the untrained block hits the first by chance
TEXT = "c 3 k 7 a 1 f 9 m 2 t 5 | k a m"
FRESH_SEED = 0
RULES = ("NEAR_UNIFORM", "SINK", "SAME", "ITSELF", "POSITION", "LEAST")  # of the verdict
SOFT = 8.0  # temperature at which a learned row looks as soft as an untrained one


def make() -> bytes:
    """Return the bytes of data.safetensors."""
    arrays: Arrays = {}
    numbers: dict[str, float | str] = {}
    maps: dict[str, Any] = {}
    _pair(arrays, maps, numbers)
    _sinks(arrays, maps, numbers)
    _recall(arrays, maps, numbers)
    _lite(arrays, maps, numbers)
    head = {
        "numbers": numbers,
        "maps": maps,
        "colours": list(COLOURS),
        "soft": SOFT,
        "rules": {name.lower(): getattr(rules, name) for name in RULES},
        "quiz": quiz(arrays, maps, numbers),
    }
    return pack(head, arrays)


def plan_of(rule: planted.Rule, **more: Any) -> planted.Plan:
    """Return a plan of the lesson's own planted networks."""
    return planted.Plan(rule, shape=(2, 6, 7), gain=9.0, nuisance=0.3, **more)


def planted_capture(plan: planted.Plan) -> Capture:
    """Return the capture of a planted network on its own clip."""
    frames = planted.painted(plan)
    spec = InputSpec(sides=frames.shape[1:3], mean=(0.0,) * 3, std=(255.0,) * 3, white=255)
    return Model(planted.Planted(plan), input_spec=spec).capture(Clip.from_frames(frames))


PAIR_SEED, PAIR_QUERY = 51, 25  # rows of both look alike at first: 0.71 in common


def _pair(arrays: Arrays, maps: dict[str, Any], numbers: dict[str, Any]) -> None:
    """One clip, one query, two networks: one row follows the query, the other does not."""
    rows = []
    pair: tuple[tuple[str, planted.Rule], ...] = (("pair.a", "same"), ("pair.b", "content"))
    for key, rule in pair:
        plan = plan_of(rule, seed=PAIR_SEED, query=PAIR_QUERY)
        capture = planted_capture(plan)
        affinity = embedded(capture)
        keep(arrays, maps, key, affinity, capture.clip, query=PAIR_QUERY)
        rows.append(affinity.rows([PAIR_QUERY])[0, 0])
        if rule == "content":  # the lesson speaks of its values, too
            norms = nlviz.sinks(capture)["nl"].value_norms
            assert norms is not None
            arrays[f"{key}.values"] = norms[0].numpy().astype(np.float32)
        numbers[f"{key.replace('.', '_')}_shared"] = float(
            verdict(capture, "nl", PAIR_QUERY, contents=1, seeds=1).origin.shared or 0
        )
    numbers["pair_common"] = in_common(*rows)


def _sinks(arrays: Arrays, maps: dict[str, Any], numbers: dict[str, Any]) -> None:
    """Three blocks: a sink that is broadcast, none at all, a sink without a value."""
    text = read_text(TEXT)
    spoken = load_model("non-local-1d.recall", device="cpu").capture(text)
    empty = planted_capture(plan_of("sink", seed=3, query=9, gives=False))
    for key, capture, block in (
        ("sink.text", spoken, "embedded_gaussian.1"),
        ("sink.empty", empty, "nl"),
    ):
        found = nlviz.sinks(capture, blocks=[block])[block]
        assert found.value_norms is not None and found.value_ratio is not None
        arrays[f"{key}.values"] = found.value_norms[0].numpy().astype(np.float32)
        clip = None if capture is spoken else capture.clip
        keep(arrays, maps, key, embedded(capture, block), clip)
        if capture is spoken:
            maps[key]["words"] = list(text.tokens)
        name = key.removeprefix("sink.")
        numbers[f"sink_{name}_share"] = float(found.share[0, found.strongest[0]])
        numbers[f"sink_{name}_ratio"] = float(found.value_ratio[0])
        assert found.rank_output is not None
        numbers[f"sink_{name}_rank"] = float(found.rank_output[0])


@cache
def recall_network(name: str) -> tuple[Model, RecallNL]:
    """Return one of the bundled recall networks, and the module itself."""
    model = load_model(name, device="cpu")
    assert isinstance(model.net, RecallNL)
    return model, model.net


@cache
def clips() -> RecallClips:
    """Return the clips of the recall task that the lesson speaks of."""
    return recall_clips(CLIPS, seed=CLIPS_SEED)


def fresh_block() -> NonLocalBlock:
    """Return the block of the recall networks as it is before training."""
    with torch.random.fork_rng():
        torch.manual_seed(FRESH_SEED)
        block = NonLocalBlock(48, inner=24, norm=False)
    return block.eval().requires_grad_(False)


def trunk_cells(count: int) -> Tensor:
    """Return (clips, channels, t, h, w) features of the first clips; all networks share them."""
    values = torch.tensor(clips().frames[:count].copy()).permute(0, 4, 1, 2, 3).float() / 255
    with torch.no_grad():
        return recall_network("recall.embedded-gaussian")[1].cells(values)


def on_truth(rows: Tensor, count: int) -> Tensor:
    """Return (clips,) the weight of rows on the cells of the digit that was asked for."""
    return (rows * covered(count)).sum(-1)


def covered(count: int) -> Tensor:
    """Return (clips, keys) 1 for the cells of the digit that was asked for."""
    drawn = clips()
    out = torch.zeros(count, 5, 64)
    for n in range(count):
        out[n, drawn.asked[n]] = torch.from_numpy(drawn.covered(n, int(drawn.asked[n]))).flatten()
    return out.flatten(1)


FINDS = 2.0  # times the even share on the right digit, from which a row has found it


def read_most(net: RecallNL, cells: Tensor) -> Tensor:
    """Return (clips,) the cell of the last frame that the head reads most."""
    with torch.no_grad():
        return net.pooling(cells[:, :, -1]).flatten(1).argmax(1)


def twin_rows(count: int) -> dict[str, Tensor]:
    """Return rows (clips, keys) of the cell that the head reads most, of four blocks."""
    cells = trunk_cells(count)
    at = read_most(recall_network("recall.embedded-gaussian")[1], cells)
    out: dict[str, Tensor] = {}
    for key, block in twin_blocks().items():
        with torch.no_grad():
            theta = block.get_submodule("theta")(cells).flatten(2)[:, :, -64:]
            phi = block.get_submodule("phi")(cells).flatten(2)
            logits = torch.einsum("nd,ndk->nk", theta[torch.arange(count), :, at], phi)
        if key == "dot":
            out[key] = logits.abs() / logits.abs().sum(-1, keepdim=True)
        else:
            out[key] = logits.softmax(-1)
            if key == "learned":
                out["soft"] = (logits / SOFT).softmax(-1)
    return out


def twin_blocks() -> dict[str, torch.nn.Module]:
    """Return the block that learned, its dot-product twin, and one that learned nothing."""
    return {
        "learned": recall_network("recall.embedded-gaussian")[1].nl,
        "dot": recall_network("recall.dot-product")[1].nl,
        "fresh": fresh_block(),
    }


def _recall(arrays: Arrays, maps: dict[str, Any], numbers: dict[str, Any]) -> None:
    """Clips of the recall task under three blocks; of the learned ones the way to the answer."""
    drawn, cells = clips(), trunk_cells(CLIPS)
    for n, clip in enumerate(SHOWN):
        about = {
            "asked": int(drawn.asked[clip]),
            "answer": int(drawn.answers[clip]),
            "truth": np.flatnonzero(covered(clip + 1)[clip]).tolist(),
        }
        for key, block in twin_blocks().items():
            name = f"recall.{n}.{key}"
            with torch.no_grad():
                theta, phi = (
                    block.get_submodule(part)(cells[clip : clip + 1]).flatten(2).mT
                    for part in ("theta", "phi")
                )
            arrays[f"{name}.theta"] = theta[:, -64:].numpy().astype(np.float16)
            arrays[f"{name}.phi"] = phi.numpy().astype(np.float16)
            maps[name] = {"shape": [5, 8, 8], "prefix": 0, "softmax": key != "dot", "from": 256}
        arrays[f"recall.{n}.seen"] = seen(drawn.clip(clip), (5, 8, 8))
        for key, net in (
            ("learned", recall_network("recall.embedded-gaussian")[1]),
            ("dot", recall_network("recall.dot-product")[1]),
        ):
            told, read, own = way_to_answer(net, cells[clip : clip + 1])
            arrays |= {
                f"recall.{n}.{key}.told": told,
                f"recall.{n}.{key}.read": read,
                f"recall.{n}.{key}.own": own,
            }
        at = int(read_most(recall_network("recall.embedded-gaussian")[1], cells)[clip])
        maps[f"recall.{n}"] = about | {"query": 256 + at}
    rows, even = twin_rows(CLIPS), covered(CLIPS).mean(-1)
    numbers["clips_all"] = CLIPS
    numbers["finds"] = FINDS
    numbers["even_truth"] = float(even.mean())
    for key, row in rows.items():
        mass = on_truth(row, CLIPS)
        numbers[f"twin_{key}_truth"] = float(mass.mean())
        numbers[f"twin_{key}_found"] = float((mass >= FINDS * even).float().mean())
        numbers[f"twin_{key}_effective"] = float(
            torch.special.entr(row).sum(-1).exp().quantile(0.5)
        )


def way_to_answer(net: RecallNL, cells: Tensor) -> tuple[Any, Any, Any]:
    """Return what each key's value tells the head, how much each cell is read, and the rest.

    The head is linear behind the block: logits = own + sum_i read_i sum_j p_ij told_j.
    """
    nl = net.nl
    with torch.no_grad():
        value = nl.get_submodule("g")(cells).flatten(2)[0].mT  # (keys, 24)
        out = nl.get_submodule("out")
        weight = out.get_parameter("weight").flatten(1)  # (48, 24)
        told = value @ weight.T @ net.head.weight.T
        last = cells[:, :, -1]
        read = net.pooling(last)
        pooled = torch.einsum("bchw,bhw->bc", last, read)[0] + out.get_parameter("bias")
        own = pooled @ net.head.weight.T + net.head.bias
    return told.numpy(), read.flatten().numpy(), own.numpy()


LITE_SEED = 1


@cache
def lite_capture() -> Capture:
    """Return lite-nl on a clip that is composed of bundled photos."""
    names = ("cat", "coffee", "rocket", "astronaut")
    photos = [read_clip(asset(f"photos/{name}.jpg")).frames[0] for name in names]
    made = compose(photos, seed=LITE_SEED, frames=3, size=(96, 128), objects=3)
    return load_model("lite-nl", device="cpu").capture(Clip.from_frames(made.frames))


LITE_DRAWS = 3  # random cuts of each query's row


def lite_cuts(capture: Capture, numbers: range, draw: int | None = None) -> list[float]:
    """Return the change of the answer's log-odds where links of each query are cut.

    Those that are strong, or as many others, drawn at random with ``draw`` in the seed.
    """
    affinity = capture.affinities["stage4"]
    assert capture.logits is not None
    answer, reach = int(capture.logits.argmax()), torch.ones(affinity.keys.size, dtype=torch.bool)
    found = []
    with Rerun(capture) as rerun:
        plain = rerun.run().logits
        assert plain is not None
        before = log_odds(plain.flatten(), answer, independent=False)
        for number in numbers:
            mask = torch.zeros_like(reach)
            cut = strong_links(affinity.rows([number])[0, 0], reach, 20)
            if draw is not None:
                seed = torch.Generator().manual_seed(100 * number + draw)
                others = reach.index_fill(0, torch.as_tensor(cut), False).nonzero().flatten()
                cut = others[torch.randperm(len(others), generator=seed)[: len(cut)]]
            mask[cut] = True
            after = rerun.run(CutEdges("stage4", (number,), mask)).logits
            assert after is not None
            found.append(log_odds(after.flatten(), answer, independent=False) - before)
    return found


def _lite(arrays: Arrays, maps: dict[str, Any], numbers: dict[str, Any]) -> None:
    """A trained network on photos: clear maps that its answer does not need."""
    capture = lite_capture()
    affinity = embedded(capture, "stage4")
    frame = affinity.queries.size // affinity.queries.shape[0]
    rows = affinity.rows(torch.arange(frame))[0]
    masses = rows.view(frame, 3, frame).sum(-1)
    query = int(masses.min(1).values.argmin())
    lite = replace(affinity, theta=affinity.theta[:, :frame])
    keep(arrays, maps, "lite", lite, capture.clip, kind=np.float16, query=query)
    maps["lite"] |= {"from": 0, "shape": list(affinity.keys.shape)}
    cuts = lite_cuts(capture, range(frame))
    arrays["cut.lite"] = np.array(cuts, np.float32)
    drawn = [lite_cuts(capture, range(frame), draw) for draw in range(LITE_DRAWS)]
    arrays["chance.lite"] = np.abs(drawn).max(0).astype(np.float32)
    name, share = capture.prediction(1)[0]
    numbers |= {"lite_answer": name, "lite_probability": share}
    numbers["lite_most"] = float(np.abs(cuts).max())
    every = nlviz.knock_out_frames(capture, seeds=1)
    numbers["lite_frames"] = abs(every.cut.answer or 0.0)
    numbers["lite_sink"] = float(nlviz.sinks(capture, blocks=["stage4"])["stage4"].multiple.max())
