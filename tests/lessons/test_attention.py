"""What the lesson on self-attention says, computed again by the library."""

from __future__ import annotations

import json
import math
import subprocess
from functools import cache
from typing import Any
from urllib.parse import parse_qsl

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import nlviz
from nlviz.affinity.pairwise import Pairwise
from nlviz.affinity.position_share import position_share, terms
from nlviz.networks.hooks import recorded
from nlviz.networks.sequence.transduction import Transduction
from nlviz.recipes.lessons import attention_bias, attention_sequences
from nlviz.recipes.lessons.attention import PARTS
from nlviz.recipes.lessons.attention_bias import BLOCK, captured
from nlviz.recipes.lessons.attention_sequences import LENGTHS, NETS, bundled, told
from nlviz.recipes.sequence_measures import attending, partners
from nlviz.resources import asset
from nlviz.views.view import View
from nlviz.web.bundle import FOLDER
from nlviz.web.payloads.container import unpack
from tests.lessons import test_attention_layouts as test_attention_layouts  # its other screens
from tests.lessons.claims import claim
from tests.web.live_view.test_rows import node

PURE = FOLDER / "lesson" / "lessons" / "attention" / "pure"
DATA = asset("lessons/attention/data.safetensors")
LESSON = json.loads(asset("lessons/attention/lesson.json").read_text("utf-8"))
FIGURES = {screen["id"]: screen["figure"] for screen in LESSON["screens"]}

OFF = {"attention": "attention.w_1", "convolutions": "attention.w_2", "feed": "feed"}


@cache
def net_of(name: str) -> Transduction:
    return bundled(name)


@cache
def header() -> dict[str, Any]:
    return unpack(DATA.read_bytes())[0]


def in_browser(code: str, **given: Any) -> Any:
    """Return what a piece of the browser's code gives; it sees `data`, `given` and the modules."""
    modules = "\n".join(
        f'import * as {path.stem} from "{path.as_uri()}";' for path in sorted(PURE.glob("*.js"))
    )
    script = f"""
    import {{ readFileSync }} from "node:fs";
    import {{ unpack }} from "{(FOLDER / "shared/unpack.js").as_uri()}";
    {modules}
    const {{ attnNet, attnPosed, attnTests }} = attn_judges;
    const data = unpack(readFileSync({json.dumps(str(DATA))}));
    const given = {json.dumps(given)};
    const made = (() => {{ {code} }})();
    process.stdout.write(JSON.stringify(made));
    """
    done = subprocess.run(
        [node(), "--input-type=module", "-e", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def judged_all(judge: str, screen: str, cases: list[tuple[Any, Any]]) -> list[dict[str, Any]]:
    """Return what a judge of the browser says of readings of the figure and answers."""
    found: list[dict[str, Any]] = in_browser(
        "return given.cases.map(([reading, answer]) => "
        f"attn_judges.{judge}"
        "({ given: answer, reading, data, spec: { figure: given.figure } }));",
        cases=cases, figure=FIGURES[screen],
    )  # fmt: skip
    said = next(s for s in LESSON["screens"] if s["id"] == screen)["question"]["says"]
    for one in found:
        assert one["say"] in said
        assert one["right"] == (one["say"] == "right")
    return found


def judged(judge: str, screen: str, reading: Any = None, answer: Any = None) -> dict[str, Any]:
    """Return what a judge of the browser says of one reading or answer."""
    (found,) = judged_all(judge, screen, [(reading, answer)])
    return found


@cache
def texts(name: str, count: int, length: int, seed: int) -> list[dict[str, list[int]]]:
    found: list[dict[str, list[int]]] = in_browser(
        "return seq_tasks.seqTexts(data.head.sequences[given.name], given);",
        name=name, count=count, length=length, seed=seed,
    )  # fmt: skip
    return found


def compared_on(name: str) -> list[dict[str, list[int]]]:
    return texts(name, **header()["tests"])


def passed(net: Transduction, posed: dict[str, list[int]]) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the logits of a posed text and the rows of every attention, (heads, queries, keys)."""
    source, given = torch.tensor([posed["source"]]), torch.tensor([posed["given"]])
    blocks = {n: b for n, b in attending(net).items() if not n.split(".")[2].startswith("band")}
    with torch.no_grad(), recorded(net, blocks) as calls:
        logits = net.logits(source, given)[0]
    rows = {}
    for name in blocks:
        q, k = calls[name].args[:2]
        found = q[0] @ k[0].mT / math.sqrt(q.shape[-1])
        if name == "decoder.0.global":
            reach = torch.ones(found.shape[-2:], dtype=torch.bool).tril()
            found = found.masked_fill(~reach, -torch.inf)
        rows[name] = found.softmax(-1)
    return logits, rows


def right(name: str, *, heads: tuple[str, ...] = (), branch: str = "") -> float:
    """Return the share of symbols that are right with heads, or a branch of every layer, zeroed."""
    net, hooks = net_of(name), []

    def without(head: int) -> Any:
        def hook(module: nn.Module, args: Any, y: Tensor) -> Tensor:
            y = y.clone()
            y[:, head] = 0
            return y

        return hook

    for key in heads:
        block, _, head = key.partition(":")
        hooks.append(attending(net)[block].register_forward_hook(without(int(head))))
    if branch:
        for layer in (*net.encoder, *net.decoder):
            part = layer.get_submodule(OFF[branch])
            hooks.append(part.register_forward_hook(lambda m, a, y: torch.zeros_like(y)))
    fits = []
    for posed in compared_on(name):
        logits, _ = passed(net, posed)
        counts = torch.tensor(posed["counts"])
        fits.append((logits.argmax(-1) == torch.tensor(posed["wanted"]))[counts])
    for hook in hooks:
        hook.remove()
    return float(torch.cat(fits).float().mean())


# ---- the data, and the networks in the browser ---------------------------------------------------


def test_the_data_are_what_the_recipe_makes() -> None:
    """Those of texts and of the bias; ``test_attention_layouts`` has the others."""
    head, arrays = unpack(DATA.read_bytes())
    for found in (attention_sequences.part(), attention_bias.part()):
        assert found.numbers == {name: head["numbers"][name] for name in found.numbers}
        assert found.head.keys() <= head.keys()
        for name, array in found.arrays.items():
            np.testing.assert_allclose(array, arrays[name], atol=2e-3)
        for kind in ("transformer", "muse") if "length" in found.head else ():
            for of, values in found.head["length"][kind].items():
                assert values == pytest.approx(head["length"][kind][of], rel=0.02, abs=0.01)
    assert {n: told(net_of(n)) for n in NETS} == head["sequences"]
    assert {part.__module__.rpartition(".")[2] for part in PARTS} == {
        "attention_sequences",
        "attention_bias",
        "attention_layouts",
        "attention_operators",
    }


@pytest.mark.parametrize("name", NETS)
def test_a_pass_in_the_browser_is_a_pass_of_torch(name: str) -> None:
    for length in (6, 14):
        (posed,) = texts(name, 1, length, 3 + length)
        logits, rows = passed(net_of(name), posed)
        found = in_browser(
            "const { logits, blocks } = attnNet(data, given.name).run(given.posed);"
            "const kept = Object.entries(blocks).map(([name, block]) => [name, [...block.rows]]);"
            "return { logits: [...logits], rows: Object.fromEntries(kept) };",
            name=name, posed=posed,
        )  # fmt: skip
        assert found["rows"].keys() == rows.keys()
        for block, wanted in rows.items():
            np.testing.assert_allclose(found["rows"][block], wanted.flatten(), atol=2e-5)
        np.testing.assert_allclose(found["logits"], logits.flatten(), atol=2e-3)


@pytest.mark.parametrize(
    ("name", "off", "heads", "branch"),
    [
        ("transformer.shift", ["encoder.1.global:0"], ("encoder.1.global:0",), ""),
        ("transformer.shift", ["decoder.0.cross:1"], ("decoder.0.cross:1",), ""),
        ("muse.sort", ["attention"], (), "attention"),
        ("muse.shift", ["convolutions"], (), "convolutions"),
        ("muse.recall", ["feed"], (), "feed"),
    ],
)
def test_what_is_switched_off_there_is_off(
    name: str, off: list[str], heads: tuple[str, ...], branch: str
) -> None:
    found = in_browser(
        "const net = attnNet(data, given.name);"
        "return seq_net.seqRight(net, attnTests(net, data.head), new Set(given.off));",
        name=name, off=off,
    )  # fmt: skip
    assert found == pytest.approx(right(name, heads=heads, branch=branch), abs=0.02)


@pytest.mark.parametrize("name", NETS)
def test_texts_are_posed_as_the_tasks_say(name: str) -> None:
    task = net_of(name).task
    for posed in texts(name, 3, 10, 17):
        source = [task.tokens[i] for i in posed["source"]]
        wanted = [task.tokens[i] for i in posed["wanted"]]
        answer = list(task.answer(source))
        if task.asks:  # the letters are asked for in the order of the alphabet
            pairs = dict(zip(answer[::2], answer[1::2], strict=True))
            answer = [symbol for letter in sorted(pairs) for symbol in (letter, pairs[letter])]
        assert wanted == [*answer, "|"]
        assert posed["given"] == [task.separator, *posed["wanted"][:-1]]
        assert posed["counts"] == task.asked(posed["given"])
        expected = partners(task, len(source))
        if expected is not None:
            assert posed["partner"] == [*expected.tolist(), -1]


@pytest.mark.parametrize("screen", [s for s in FIGURES if "open" in FIGURES[s]])
def test_the_app_opens_the_same_network_and_text(screen: str) -> None:
    figure = FIGURES[screen]
    page, _, address = figure["open"].partition("?")
    fields = dict(parse_qsl(address))
    net, text = figure.get("net"), figure.get("text")
    if screen == "position":
        net, text = (figure["heads"][figure["head"]][name] for name in ("net", "text"))
    if screen == "branches":
        net = figure["nets"][figure["task"]]
        ids = compared_on(net)[0]["source"]
        text = "".join(net_of(net).task.tokens[i] for i in ids)
    assert (page, fields["model"], fields["text"]) == ("", net, " ".join(text))
    found = View.understood(fields)
    assert not found.left_out
    assert not found.complaint
    affinity = nlviz.load_model(net).capture(nlviz.read_text(fields["text"])).affinities
    block = affinity[fields["block"]]
    at = found.values["at"]
    row = block.map(frame=at[0], y=at[1], x=at[2], head=int(fields.get("head", 0))).weights
    assert row.sum() == pytest.approx(1, abs=1e-4)


# ---- what each screen claims ---------------------------------------------------------------------


@claim("same-rows")
def test_the_block_with_a_scale_is_self_attention() -> None:
    figure = FIGURES["same-rows"]
    net = net_of(figure["net"])
    d = net.size.channels // net.size.heads
    assert header()["numbers"]["head_width"] == d
    at = 1 / math.sqrt(d)
    assert at in [
        figure["step"] * i for i in range(round(figure["most_scale"] / figure["step"]) + 1)
    ]
    # The library's own block agrees: rows of an embedded Gaussian with this scale.
    posed = in_browser(
        "const net = attnNet(data, given.net); return attnPosed(net, given.text);", **figure
    )
    with torch.no_grad(), recorded(net, {"b": attending(net)["encoder.1.global"]}) as calls:
        net.logits(torch.tensor([posed["source"]]), torch.tensor([posed["given"]]))
    q, k, v = (x[0] for x in calls["b"].args)
    f = Pairwise("embedded_gaussian", at)
    torch.testing.assert_close(f.normalise(f.logits(q, k)) @ v, calls["b"].output[0])
    reading = {k: figure[k] for k in ("net", "head", "text", "query")} | {"scale": at}
    found = judged("judgeAttnSameRows", "same-rows", reading)
    assert found["right"] and found["values"]["apart"] < 1e-6
    assert found["values"]["d"] == d


@claim("same-rows")
@pytest.mark.parametrize("scale", [0.0, 0.2, 0.3, 1.0])
def test_another_scale_is_too_flat_or_too_sharp(scale: float) -> None:
    figure = FIGURES["same-rows"]
    reading = {k: figure[k] for k in ("net", "head", "text")} | {"scale": scale}
    cases = [({**reading, "query": query}, None) for query in (0, 3, 9)]
    for found in judged_all("judgeAttnSameRows", "same-rows", cases):
        assert found["say"] == ("too-flat" if scale < 0.25 else "too-sharp")
        sharper = found["values"]["block"] < found["values"]["attention"]
        assert sharper == (scale > 0.25)


@claim("heads")
def test_both_heads_of_the_attention_to_the_source_reverse_and_no_other() -> None:
    figure = FIGURES["heads"]
    net = net_of(figure["net"])
    numbers = header()["numbers"]
    assert numbers["blocks"] == len(attending(net)) == 4
    assert numbers["all_heads"] == 4 * net.size.heads
    for text in (figure["text"], "ponmlkjihgfe", "bbaacd"):
        n = len(text)
        source = [ord(c) - ord("a") for c in text]
        _, rows = passed(net, {"source": source, "given": [16, *source[::-1]]})
        reading = {"net": figure["net"], "text": text}
        heads = [(name, head) for name in rows for head in range(2)]
        cases = [({**reading, "selected": f"{name}:{head}"}, None) for name, head in heads]
        for (name, head), found in zip(
            heads, judged_all("judgeAttnHeads", "heads", cases), strict=True
        ):
            if name == "decoder.0.global":
                assert found["say"] == "other-keys"
                continue
            mass = float(rows[name][head, range(n), range(n - 1, -1, -1)].mean())
            assert found["values"]["mass"] == pytest.approx(mass, abs=1e-4)
            assert found["right"] == (name == "decoder.0.cross")
            assert mass > 0.9 if found["right"] else mass < 3 / n
    nothing = {"net": figure["net"], "text": figure["text"], "selected": None}
    assert judged("judgeAttnHeads", "heads", nothing)["say"] == "none"


@claim("cut")
def test_the_head_that_costs_most_looks_three_places_ahead() -> None:
    figure = FIGURES["cut"]
    name = figure["net"]
    keys = [f"{b}:{h}" for b in attending(net_of(name)) for h in range(2)]
    without = {key: right(name, heads=(key,)) for key in keys}
    worst = min(without, key=without.__getitem__)
    assert without[worst] < 0.6 < min(v for k, v in without.items() if k != worst)
    cases = [({"net": name, "off": [key]}, None) for key in keys]
    for key, found in zip(keys, judged_all("judgeAttnCut", "cut", cases), strict=True):
        assert found["right"] == (key == worst)
        assert found["values"]["right"] == pytest.approx(without[key], abs=0.02)
    block, _, head = worst.partition(":")
    offsets = torch.zeros(23)
    for posed in compared_on(name):
        row = passed(net_of(name), posed)[1][block][int(head)]
        offsets += torch.stack([row.diagonal(i).mean() for i in range(-11, 12)])
    assert int(offsets[1:-1].argmax()) + 1 - 11 == 3
    assert judged("judgeAttnCut", "cut", {"net": name, "off": []})["say"] == "none"
    assert judged("judgeAttnCut", "cut", {"net": name, "off": keys[:2]})["say"] == "several"


@claim("cut")
def test_three_letters_move_to_the_front() -> None:
    assert "".join(net_of("transformer.shift").task.answer("abcdef")) == "defabc"
    assert header()["numbers"]["tests"] == header()["tests"]["count"]


@claim("reach")
def test_divided_attention_saves_about_as_many_times_as_there_are_frames() -> None:
    figure = FIGURES["reach"]
    size = {k: figure[k] for k in ("h", "w", "side")}
    area = size["h"] * size["w"]
    least, most = figure["frames"]
    first = next(t for t in range(least, most + 1) if t * area >= figure["times"] * (t + area))
    assert least < figure["t"] < first < most
    frames = (least, first - 1, first, first + 1, most)
    cases = [({**size, "t": t, "scheme": "joint"}, None) for t in frames]
    for t, found in zip(frames, judged_all("judgeAttnReach", "reach", cases), strict=True):
        assert found["say"] == ("right" if t == first else "too-few" if t < first else "too-many")
        assert found["values"]["joint"] == t * area
        assert found["values"]["divided"] == t + area
        if t <= first:
            assert found["values"]["ratio"] == pytest.approx(t, rel=0.06)


@claim("reach")
def test_cells_that_are_seen_are_those_that_are_counted() -> None:
    """Seen from any query; divided attention counts the query itself in time and in space."""
    size = {"t": 3, "h": 5, "w": 10, "side": 5}
    for scheme in ("joint", "divided", "window"):
        for query in (0, 62, 149):
            seen, keys = in_browser(
                "return [[...reach_maths.reachSeen(given.scheme, given, given.query)],"
                " reach_maths.reachKeys(given.scheme, given)];",
                scheme=scheme, query=query, **size,
            )  # fmt: skip
            assert seen[query] == 3
            assert sum(cell > 0 for cell in seen) == keys - (scheme == "divided")


def connected(side: int, shifted: bool, size: tuple[int, int, int]) -> Tensor:
    """Return after how many layers every cell is reached from every other, by matrix products."""
    t, h, w = size
    _, y, x = torch.meshgrid(*(torch.arange(n) for n in size), indexing="ij")
    links = []
    for moved in (0, side // 2 if shifted else 0):
        box = ((y + moved) // side) * 1000 + (x + moved) // side
        links.append((box.flatten()[:, None] == box.flatten()).float())
    found = torch.full((t * h * w, t * h * w), -1)
    reach = torch.eye(t * h * w)
    found[reach > 0] = 0
    for layer in range(12):
        reach = (links[layer % 2] @ reach > 0).float()
        found[(reach > 0) & (found < 0)] = layer + 1
    return found


@claim("steps")
def test_layers_that_connect_two_places_are_counted_right() -> None:
    size = (2, 6, 9)
    for side, shifted in ((2, True), (3, False), (4, True), (5, True), (9, False)):
        wanted = connected(side, shifted, size)
        for start in (0, 40, 107):
            found = in_browser(
                "return [...reach_maths.reachSteps('window', given, given.start)];",
                t=2, h=6, w=9, side=side, shifted=shifted, start=start,
            )  # fmt: skip
            assert found == wanted[:, start].tolist()
    for scheme in ("joint", "divided"):
        found = in_browser(
            "return [...reach_maths.reachSteps(given.scheme, given, 7)];",
            t=2,
            h=6,
            w=9,
            scheme=scheme,
        )
        assert max(found) == 1 and found.count(0) == 1


@claim("steps")
def test_the_smallest_window_that_does_it_is_right() -> None:
    figure = FIGURES["steps"]
    t, h, w = (figure[k] for k in ("t", "h", "w"))
    cell = lambda place: place[0] * h * w + place[1] * w + place[2]  # noqa: E731
    a, b = cell(figure["from"]), cell(figure["to"])
    layers = {
        (side, shifted): int(connected(side, shifted, (t, h, w))[b, a])
        for side in figure["sides"] for shifted in (False, True)
    }  # fmt: skip
    enough = [side for (side, _), n in layers.items() if 0 < n <= figure["most"]]
    assert len(set(enough)) > 1
    at = {"t": t, "h": h, "w": w, "from": a, "to": b}
    cases = [({**at, "side": side, "shifted": shifted}, None) for side, shifted in layers]
    told = judged_all("judgeAttnSteps", "steps", cases)
    for ((side, shifted), n), found in zip(layers.items(), told, strict=True):
        if n < 0:
            assert found["say"] == "never" and not shifted
        elif n > figure["most"]:
            assert found["say"] == "too-slow"
        else:
            assert found["say"] == ("right" if side == min(enough) else "too-dear")
        assert found["values"]["keys"] == t * min(side, h) * min(side, w)


@claim("position")
def test_the_head_that_reverses_looks_by_position_alone() -> None:
    figure = FIGURES["position"]
    assert header()["numbers"]["mean_texts"] == header()["means"]["count"]
    shares: dict[str, float] = {}
    heads = {id: head for id, head in figure["heads"].items() if "net" in head}
    readings = {id: head["text"] for id, head in heads.items()}
    for id, of in heads.items():
        block, _, head = of["head"].partition(":")
        name, text = of["net"], of["text"]
        posed = in_browser(
            "return attnPosed(attnNet(data, given.name), given.text);", name=name, text=text
        )
        others = texts(name, header()["means"]["count"], len(text), header()["means"]["seed"])
        net = net_of(name)
        mean = torch.stack([passed(net, other)[1][block][int(head)] for other in others]).mean(0)
        row = passed(net, posed)[1][block][int(head)]
        at = [i for i, counts in enumerate(posed["counts"]) if counts][: len(text)]
        at = [i for i in at if i < len(posed["wanted"]) - 1]
        shares[id] = float(torch.minimum(row, mean)[at].sum(-1).mean())
    cases = [({"texts": readings}, id) for id in shares]
    told = judged_all("judgeAttnPosition", "position", cases)
    for (id, share), found in zip(shares.items(), told, strict=True):
        assert found["values"]["share"] == pytest.approx(share, abs=2e-3)
        assert found["right"] == (id == "reverse")
    assert shares["reverse"] > 0.95
    assert max(shares["sort"], shares["recall"]) < 0.7


@claim("position")
def test_the_bias_for_position_is_hardly_used() -> None:
    figure = FIGURES["position"]
    head = figure["heads"]["digits"]["of_bias"]
    affinity = captured().affinities[BLOCK]
    every = torch.arange(affinity.queries.size)
    content, position = (part.rows(every)[head] for part in terms(affinity))
    row = affinity.rows(every)[head]
    readings = {id: of["text"] for id, of in figure["heads"].items() if "net" in of}
    found = judged("judgeAttnPosition", "position", {"texts": readings}, "digits")
    assert found["say"] == "bias"
    values = found["values"]
    assert values["cells"] == affinity.keys.size
    for name, alone in (("content", content), ("position", position)):
        common = float(torch.minimum(row, alone).sum(-1).mean())
        assert values[name] == pytest.approx(common, abs=2e-3)
    spread = float(torch.special.entr(position).sum(-1).exp().mean())
    assert values["spread"] == pytest.approx(spread, rel=1e-3)
    assert spread > 0.98 * affinity.keys.size
    assert values["content"] > 0.9 > values["position"]
    share = position_share(affinity)
    assert share is not None
    assert share == pytest.approx(header()["bias"]["share"], abs=1e-3)
    assert share < 0.1


@claim("branches")
def test_sorting_needs_attention_and_the_other_tasks_convolutions() -> None:
    nets = FIGURES["branches"]["nets"]
    whole = {id: right(name) for id, name in nets.items()}
    without = {
        (id, branch): right(name, branch=branch) for id, name in nets.items() for branch in OFF
    }
    lost = {id: whole[id] - without[id, "attention"] for id in nets}
    assert max(lost, key=lost.__getitem__) == "sort"
    assert lost["sort"] > 0.3 > 2 * max(v for id, v in lost.items() if id != "sort") - 0.2
    for id in ("shift", "recall"):
        assert without[id, "convolutions"] < 0.25 < 0.5 < without[id, "attention"]
    assert without["sort", "convolutions"] > 0.75
    told = judged_all("judgeAttnBranches", "branches", [(None, id) for id in nets])
    for id, found in zip(nets, told, strict=True):
        assert found["right"] == (id == "sort")
        assert found["values"]["without"] == pytest.approx(without[id, "attention"], abs=0.02)


@claim("branches")
def test_branches_add_what_the_capture_says() -> None:
    model = nlviz.load_model("muse.sort")
    capture = model.capture(nlviz.read_text("d a c b h e"))
    branches = capture.affinities["encoder.1.global"].branches
    assert branches is not None
    wanted = list(branches.at().values())
    found = in_browser(
        "const net = attnNet(data, 'muse.sort');"
        "return Object.values(net.run(attnPosed(net, 'dacbhe')).norms['encoder.1']);"
    )
    assert found == pytest.approx(wanted, rel=1e-3)


@claim("length")
def test_rows_of_self_attention_spread_and_the_sharp_ones_fail() -> None:
    found = header()["length"]
    assert found["lengths"] == list(LENGTHS)
    first, last = LENGTHS[0], LENGTHS[-1]
    for kind in ("transformer", "muse"):
        of = found[kind]
        assert sorted(of["self"]) == of["self"]
        assert 0.6 < of["self"][-1] / last and of["self"][0] / first < 1
        assert of["true"][0] > 0.95 > of["true"][-1]
    assert found["muse"]["true"][-1] > 1.5 * found["transformer"]["true"][-1]
    assert (
        abs(found["transformer"]["self"][-1] / last - found["transformer"]["self"][0] / first) < 0.1
    )
    sizes = [
        sum(p.numel() for p in net_of(f"{k}.reverse").parameters()) for k in ("muse", "transformer")
    ]
    assert sizes[0] == pytest.approx(sizes[1], rel=0.05)
    cases = [
        ({"length": length}, answer)
        for answer in ("concentrates", "stays", "spreads") for length in LENGTHS
    ]  # fmt: skip
    for (at, answer), one in zip(
        cases, judged_all("judgeAttnLength", "length", cases), strict=True
    ):
        wrong = "not-moved" if at["length"] == first else "look"
        assert one["say"] == ("right" if answer == "spreads" else wrong)


@claim("length")
@pytest.mark.parametrize("name", ["transformer.sort", "transformer.copy", "muse.recall"])
def test_the_same_is_so_in_the_other_tasks(name: str) -> None:
    """Effective keys of the encoder's rows grow with length there, too."""
    net = net_of(name)
    blocks = {
        n: b for n, b in attending(net).items() if n.startswith("encoder") and "band" not in n
    }
    from nlviz.networks.sequence.tasks import drawn

    keys = []
    for length in (8, 256):
        batch = drawn(net.task, 4, length, torch.Generator().manual_seed(length))
        with torch.no_grad(), recorded(net, blocks) as calls:
            net.encoded(batch.source)
        rows = [(calls[n].args[0] @ calls[n].args[1].mT / 4).softmax(-1) for n in blocks]
        keys.append(
            float(torch.stack([torch.special.entr(r).sum(-1).exp().mean() for r in rows]).mean())
        )
    assert keys[1] > 10 * keys[0]
