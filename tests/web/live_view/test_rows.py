"""Rows of the browser against numpy: every pairwise function, unequal grids, heads, columns."""

from __future__ import annotations

import itertools
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import playwright
import pytest
import torch

from nlviz.affinity.base import Affinity
from nlviz.affinity.bias import OffsetBias
from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.affinity.feature_map import FeatureMap
from nlviz.affinity.grid import TokenGrid
from nlviz.affinity.pairwise import Pairwise
from nlviz.affinity.patches import patch_affinity
from nlviz.affinity.position_terms import PairBias
from nlviz.affinity.support import Support, Window
from nlviz.affinity.variants import COSINE, Variant
from nlviz.web.payloads.container import pack
from nlviz.web.payloads.sources import packed_source
from tests.web.live_view.containers import embedded, frame_sections, grid, header, square_clip

Array = npt.NDArray[Any]
FOLDER = Path(__file__).parent
QUERIES = (4, 5, 7)
KEYS = (2, 3, 4)
TOKEN = 79  # frame 2, row 1, column 2 of the queries


def node() -> str:
    """Return the path of the node that Playwright brings along."""
    return str(Path(playwright.__file__).parent / "driver" / "node")


def run_node(script: str, **environment: str) -> None:
    """Run a file of node tests; its report is the failure message."""
    done = subprocess.run(
        [node(), "--test", str(FOLDER / script)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]


@pytest.mark.parametrize("script", ["pure.test.mjs", "store.test.mjs", "key_words.test.mjs"])
def test_modules_without_a_page(script: str) -> None:
    run_node(script)


def softmax(logits: Array) -> Array:
    """Return the softmax over the last axis."""
    f = np.exp(logits - logits.max(-1, keepdims=True))
    whole: Array = f / f.sum(-1, keepdims=True)
    return whole


class Cases:
    """Sources with their sections, and the rows that numpy computes for them."""

    def __init__(self) -> None:
        """Begin without cases, on the clip of the moving square."""
        self.clip = square_clip(4, 80, 112)
        self.sections: dict[str, Array] = frame_sections(self.clip)
        self.sources: list[dict[str, Any]] = []
        self.cases: list[dict[str, Any]] = []
        self.queries = grid(QUERIES, (1, 16, 16))
        self.keys = grid(KEYS, (2, 80 / 3, 28))

    def centre(self, index: int, of: dict[str, Any]) -> tuple[float, ...]:
        """Return (frame, y, x) of a token, clipped to whole frames as a reader would ask."""
        a, b, c = np.unravel_index(index, of["shape"])
        return tuple(
            o + s * n for o, s, n in zip(of["origin"], of["stride"], (a, b, c), strict=True)
        )

    def expect(
        self, name: str, token: int, row: Array, view: dict[str, Any], tolerance: float, **more: Any
    ) -> None:
        """Add a case: the row that the browser must find for this token and view."""
        section = f"expected{len(self.cases)}"
        self.sections[section] = row.astype(np.float32)
        of = self.keys if view.get("direction") == "to" else self.queries
        of = more.pop("of", of)
        frame, y, x = self.centre(token, of)
        self.cases.append(
            {
                "name": name,
                "query": {"frame": frame, "y": y, "x": x},
                "token": token,
                "view": view,
                "expected": section,
                "tolerance": tolerance,
                **more,
            }
        )


def add_embedded(cases: Cases, pairwise: str, dtype: type, *, heads: int, d: int) -> None:
    """Add one pairwise function at one precision: rows, logits, columns, heads, leaving out."""
    rng = np.random.default_rng(heads * 100 + d)
    key = f"{pairwise}-{np.dtype(dtype).name}-{heads}-{d}"
    tolerance = 1e-3 if dtype is np.float16 else 1e-5
    n, m = int(np.prod(QUERIES)), int(np.prod(KEYS))
    concatenation = pairwise == "concatenation"
    width = 1 if concatenation else d
    theta: Array = rng.normal(size=(heads, n, width)).astype(dtype)
    phi: Array = rng.normal(size=(heads, m, width)).astype(dtype)
    is_softmax = pairwise in ("gaussian", "embedded_gaussian")
    scale = 1.0 if concatenation else float(rng.uniform(0.3, 1.0))
    bias = rng.normal(size=(1, m)).astype(np.float32) if pairwise == "embedded_gaussian" else None
    wide_theta, wide_phi = theta.astype(np.float64), phi.astype(np.float64)
    logits = (
        wide_theta + wide_phi[:, None, :, 0]
        if concatenation
        else scale * np.einsum("hqd,hkd->hqk", wide_theta, wide_phi)
    )
    if bias is not None:
        logits = logits + bias[:, None]
        cases.sections[f"{key}.bias"] = bias
    if is_softmax:
        rows = softmax(logits)
    else:
        rows = np.maximum(logits, 0) / m if concatenation else logits / m
    more: dict[str, Any] = {}
    if is_softmax:
        top = logits.max(-1)
        lse = top + np.log(np.exp(logits - top[..., None]).sum(-1))
        cases.sections[f"{key}.lse"] = lse.astype(np.float32)
        more["log_normaliser"] = f"{key}.lse"
    cases.sections[f"{key}.theta"], cases.sections[f"{key}.phi"] = theta, phi
    cases.sources.append(
        embedded(
            key,
            cases.queries,
            cases.keys,
            pairwise=pairwise,
            scale=scale,
            softmax=is_softmax,
            signed=pairwise == "dot_product",
            heads=heads,
            bias=None if bias is None else {"kind": "key", "values": f"{key}.bias"},
            **more,
        )
    )
    view = {"source": key}
    row = rows[:, TOKEN]
    facts: dict[str, Any] = {"signed": pairwise == "dot_product"}
    if is_softmax:
        facts["mass"] = (row.mean(0).reshape(2, -1).sum(1).repeat(2) / 2).tolist()
    cases.expect(f"{key} mean", TOKEN, row.mean(0), {**view, "head": "mean"}, tolerance, **facts)
    cases.expect(f"{key} max", TOKEN, row.max(0), {**view, "head": "max"}, tolerance)
    last = {"log_c": float(lse[-1, TOKEN])} if is_softmax else {}
    cases.expect(f"{key} head", TOKEN, row[-1], {**view, "head": heads - 1}, tolerance, **last)
    cases.expect(
        f"{key} logits", TOKEN, logits[0, TOKEN], {**view, "head": 0, "values": "logits"}, tolerance
    )
    cases.expect(
        f"{key} column", 17, rows[:, :, 17].mean(0), {**view, "direction": "to"}, tolerance
    )
    add_left_out(cases, key, row.mean(0), view, tolerance, is_softmax)


def add_left_out(
    cases: Cases, key: str, row: Array, view: dict[str, Any], tolerance: float, is_softmax: bool
) -> None:
    """Add the row without its own cell, and without its own frame."""
    frame, y, x = cases.centre(TOKEN, cases.queries)
    a, b, c = (
        int(np.clip(np.ceil((p - o) / s - 0.5), 0, n - 1))
        for p, o, s, n in zip(
            (frame, y, x), cases.keys["origin"], cases.keys["stride"], KEYS, strict=True
        )
    )
    plane = KEYS[1] * KEYS[2]
    own = (a * KEYS[1] + b) * KEYS[2] + c
    for what, skipped in (
        ("cell", slice(own, own + 1)),
        ("frame", slice(a * plane, (a + 1) * plane)),
    ):
        rest = row.copy()
        rest[skipped] = 0
        left = row.size - len(range(*skipped.indices(row.size)))
        rest *= row.sum() / rest.sum() if is_softmax else row.size / left
        excluded = np.abs(row[skipped]).sum() / np.abs(row).sum()
        cases.expect(
            f"{key} without own {what}",
            TOKEN,
            rest,
            {**view, "leave_out": what},
            4 * tolerance,
            excluded=float(excluded),
        )


def add_groups(cases: Cases) -> None:
    """Add a source whose groups of two frames see only each other."""
    rng = np.random.default_rng(5)
    n = int(np.prod(QUERIES))
    theta = rng.normal(size=(1, n, 6)).astype(np.float32)
    cases.sections["groups.theta"] = theta
    cases.sources.append(
        embedded(
            "groups",
            cases.queries,
            cases.queries,
            phi="groups.theta",
            support={"kind": "frame_groups", "frames_per_group": 2},
        )
    )
    logits = theta[0] @ theta[0, TOKEN]
    group = np.arange(n) // (QUERIES[1] * QUERIES[2]) // 2
    inside = group == group[TOKEN]
    row = np.zeros(n)
    row[inside] = softmax(logits[inside])
    cases.expect("frame groups", TOKEN, row, {"source": "groups"}, 1e-5)


def add_parts(cases: Cases, *, group: int | None) -> None:
    """Add the parts of a softmax: the pairwise one, and the difference from the mean row."""
    rng = np.random.default_rng(11 if group else 12)
    heads, d, scale = 3, 9, 0.6
    name = f"parts-{group}"
    plane, frames = QUERIES[1] * QUERIES[2], QUERIES[0]
    size = group or frames
    keys = grid((frames, 3, 4), (1, 80 / 3, 28))
    shapes = {"theta": frames * plane, "phi": frames * 12}
    vectors = {
        of: (rng.normal(size=(heads, n, d)) + 0.7 * rng.normal(size=(heads, 1, d))).astype("f4")
        for of, n in shapes.items()
    }
    groups = -(-frames // size)
    of_query = np.arange(frames * plane) // plane // size
    of_key = np.arange(frames * 12) // 12 // size
    theta, phi = vectors["theta"].astype(np.float64), vectors["phi"].astype(np.float64)
    theta_mean = np.stack([theta[:, of_query == g].mean(1) for g in range(groups)], 1)
    phi_mean = phi.mean(1, keepdims=True)
    beyond = of_query[:, None] != of_key[None]

    def rows_of(theta: Array, phi: Array) -> tuple[Array, Array]:
        logits = scale * np.einsum("hqd,hkd->hqk", theta, phi)
        cut = np.where(beyond, -np.inf, logits)
        top = cut.max(-1)
        return softmax(cut), (top + np.log(np.exp(cut - top[..., None]).sum(-1))).astype("f4")

    full, full_lse = rows_of(theta, phi)
    own, own_lse = rows_of(theta - theta_mean[:, of_query], phi - phi_mean)
    mean = np.stack([full[:, of_query == g].mean(1) for g in range(groups)], 1)
    rest = full - mean[:, of_query]
    more: dict[str, Any] = {"scale": scale, "heads": heads}
    if group:
        more["support"] = {"kind": "frame_groups", "frames_per_group": group}
    sections: dict[str, Array] = {
        "theta": vectors["theta"],
        "phi": vectors["phi"],
        "theta_mean": theta_mean.astype("f4"),
        "phi_mean": phi_mean.astype("f4"),
        "lse": full_lse,
        "own_lse": own_lse,
        "mean": mean.astype("f4"),
    }
    cases.sections |= {f"{name}.{key}": value for key, value in sections.items()}
    shared = {"theta": f"{name}.theta", "phi": f"{name}.phi", **more}
    whole, pairwise, rest_name = f"{name}-full", f"{name}-pairwise", f"{name}-rest"
    cases.sources += [
        embedded(whole, cases.queries, keys, **shared, log_normaliser=f"{name}.lse"),
        embedded(
            pairwise,
            cases.queries,
            keys,
            **shared,
            theta_mean=f"{name}.theta_mean",
            phi_mean=f"{name}.phi_mean",
            log_normaliser=f"{name}.own_lse",
        ),
        {
            **embedded(rest_name, cases.queries, keys, **more, signed=True, softmax=False),
            "kind": "difference",
            "of": whole,
            "mean": f"{name}.mean",
            "difference": True,
            "balanced": True,
        },
    ]
    key = int(of_key.searchsorted(of_query[TOKEN])) + 5  # one that the query reaches
    for source, rows in ((pairwise, own), (rest_name, rest)):
        row, view = rows[:, TOKEN], {"source": source}
        net = row.mean(0).reshape(frames, -1).sum(1)
        cases.expect(f"{source} mean", TOKEN, row.mean(0), view, 1e-5, mass=net.tolist())
        reachable = ~beyond[TOKEN]
        cases.expect(f"{source} max", TOKEN, row.max(0) * reachable, {**view, "head": "max"}, 1e-5)
        cases.expect(f"{source} head", TOKEN, row[1], {**view, "head": 1}, 1e-5)
        column = rows[:, :, key] * ~beyond[:, key]
        cases.expect(
            f"{source} column", key, column.mean(0), {**view, "direction": "to"}, 1e-5, of=keys
        )
    logits = scale * (theta[0, TOKEN] - theta_mean[0, of_query[TOKEN]]) @ (phi - phi_mean)[0].T
    logits = logits * ~beyond[TOKEN]
    view = {"source": pairwise, "head": 0, "values": "logits"}
    cases.expect(f"{pairwise} logits", TOKEN, logits, view, 1e-5)
    view = {"source": rest_name, "head": 2, "values": "logits"}  # there are none: its rows
    cases.expect(f"{rest_name} logits", TOKEN, rest[2, TOKEN], view, 1e-5, signed=True)


def add_patches(cases: Cases) -> None:
    """Add non-local means on a small picture, with an independent loop as its reference."""
    rng = np.random.default_rng(9)
    step, offset, side, h = 4, 2, 5, 18.0
    picture = rng.integers(90, 130, (4, 20, 28, 3)).astype(np.uint8)
    cases.sections["nl.picture"] = picture
    margin = side // 2
    padded = np.pad(
        picture.astype(np.float64),
        [(0, 0), (margin, margin), (margin, margin), (0, 0)],
        mode="reflect",
    )
    patches = [
        padded[a, offset + b * step :][:side, offset + c * step :][:, :side]
        for a, b, c in itertools.product(*map(range, QUERIES))
    ]
    distance = np.array([np.mean((patch - patches[TOKEN]) ** 2) for patch in patches])
    entry = embedded("nl_means", cases.queries, cases.queries)
    cases.sources.append(
        {
            **entry,
            "kind": "patch",
            "pairwise": "nl_means",
            "picture": "nl.picture",
            "to_clip": {"stride": [1, 4, 4], "origin": [0, 1.5, 1.5]},
            "patch": side,
            "h": h,
            "step": step,
            "offset": offset,
        }
    )
    row = softmax(-distance / h**2)
    cases.expect("patches", TOKEN, row, {"source": "nl_means"}, 1e-5)
    cases.expect(
        "patch logits", TOKEN, -distance / h**2, {"source": "nl_means", "values": "logits"}, 1e-5
    )


def add_cosines(cases: Cases) -> None:
    """Add the cosine of features: rows and columns that nothing is shared out of."""
    rng = np.random.default_rng(31)
    values = torch.from_numpy(rng.normal(0.4, 1, size=(11, 4, 8, 7)).astype(np.float32))
    fine = TokenGrid((4, 8, 7), (1.0, 10.0, 16.0), (0.0, 4.5, 7.5))
    features = FeatureMap("cosine", values, fine)
    affinity = features.cosine()
    cases.sources.append(packed_source(COSINE, affinity, cases.sections))
    assert cases.sources[-1]["pairwise"] == "cosine"
    of = {"shape": fine.shape, "stride": fine.stride, "origin": fine.origin}
    x = features.vectors.double().numpy()
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    for token in (0, 97, 223):
        row, view = x @ x[token], {"source": "cosine"}
        cases.expect(f"cosine {token}", token, row, view, 1e-5, of=of, signed=True)
        back = {**view, "direction": "to"}
        cases.expect(f"cosine column {token}", token, row, back, 1e-5, of=of)


def add_affinities(cases: Cases) -> None:
    """Add windows of patches and of embeddings, packed as the page packs them."""
    rng = np.random.default_rng(21)
    picture = rng.normal(110, 40, (4, 8, 11, 3)).astype(np.float32)
    whole = rng.integers(0, 256, (4, 8, 11, 3)).astype(np.uint8)
    theta = torch.from_numpy(rng.normal(size=(3, 352, 5)).astype(np.float32))
    phi = torch.from_numpy(rng.normal(size=(3, 352, 5)).astype(np.float32))
    fine = TokenGrid((4, 8, 11), (1.0, 10.0, 112 / 11), (0.0, 4.5, 112 / 22 - 0.5))
    embedded_gaussian = Pairwise("embedded_gaussian", 0.7)
    windows = (Window(2, 3, 1), Window(1, 2, None, block=3))
    some: list[Affinity] = [
        EmbeddedAffinity(f"window{n}", embedded_gaussian, theta, phi, fine, fine, Support(window=w))
        for n, w in enumerate(windows)
    ]
    by_offset = OffsetBias(torch.from_numpy(rng.normal(size=(3, 7, 15, 21)).astype(np.float32)))
    some += [
        EmbeddedAffinity(name, embedded_gaussian, theta, phi, fine, fine, support, bias=by_offset)
        for name, support in (("offsets", Support()), ("windowed offsets", windows[1]))
    ]
    asked: list[dict[str, Any]] = [
        {"h": 60.0, "patch": 3, "window": 5},
        {"h": 50.0, "patch": 5, "window": 7, "sigma": 20.0, "frames": 3},
        {"h": 45.0, "patch": 5, "window": 21, "patch_sigma": 1.2, "frames": 1},
        {"h": 70.0, "patch": 1, "window": 9, "spatial": 1.6},
        {"h": np.inf, "patch": 1, "window": 7, "spatial": 1.1},
        {"h": np.inf, "patch": 1, "window": 3},
        {"h": 80.0, "patch": 3, "sigma": 9.0, "spatial": 3.0},
    ]
    for n, options in enumerate(asked):
        pixels = whole if n % 2 else picture
        made = patch_affinity(
            pixels, clip_shape=(4, 80, 112), step=1, name=f"patches{n}", **options
        )
        some.append(made)
    for affinity in some:
        variant = Variant(affinity.name, affinity.name, "")
        cases.sources.append(packed_source(variant, affinity, cases.sections))
        for token in (0, 351, 230):
            row = affinity.rows([token])[:, 0].double().numpy()
            shown = affinity.map(**dict(zip(("frame", "y", "x"), fine.centre(token), strict=True)))
            mask = slice(None) if shown.reachable is None else shown.reachable.ravel()
            view = {"source": affinity.name}
            of = {"shape": fine.shape, "stride": fine.stride, "origin": fine.origin}
            name = f"{affinity.name} {token}"
            cases.expect(name, token, row.mean(0)[mask], view, 1e-5, of=of)
            if len(row) > 1:
                chosen = {**view, "head": 1}
                cases.expect(f"{name} head", token, row[1][mask], chosen, 1e-5, of=of)
                most = {**view, "head": "max"}
                cases.expect(f"{name} max", token, row.max(0)[mask], most, 1e-5, of=of)


def add_gates(cases: Cases) -> None:
    """Add keys that what is added hides, from one head or from all: they are not reached."""
    generator = torch.Generator().manual_seed(5)
    theta, phi = (torch.randn(2, 9, 4, generator=generator) for _ in range(2))
    gate = torch.rand(2, 9, 9, generator=generator) - 0.4
    gate[:, 3, 5] = -1
    line, every = TokenGrid((1, 1, 9), (1.0, 80.0, 12.0), (0.0, 39.5, 5.5)), torch.arange(9)
    added = PairBias(gate.clamp(min=0).log(), every, every)
    kind = Pairwise("embedded_gaussian", 0.5)
    affinity = EmbeddedAffinity("gates", kind, theta, phi, line, line, bias=added)
    cases.sources.append(packed_source(Variant("gates", "gates", ""), affinity, cases.sections))
    of = {"shape": line.shape, "stride": line.stride, "origin": line.origin}
    for token in (0, 3):
        rows = affinity.rows([token])[:, 0]
        assert bool((rows.sum(-1) > 0.99).all())
        row = rows.double().numpy()
        open_ones = (gate[:, token] > 0).numpy()
        assert open_ones.any(0).sum() < 9
        view = {"source": "gates"}
        mean = np.where(open_ones.any(0), row.mean(0), np.nan)
        cases.expect(f"gates {token}", token, mean, view, 1e-5, of=of)
        one = {**view, "head": 1}
        of_head = np.where(open_ones[1], row[1], np.nan)
        cases.expect(f"gates {token} head", token, of_head, one, 1e-5, of=of)


def test_rows_equal_numpy(tmp_path: Path) -> None:
    cases = Cases()
    add_gates(cases)
    for pairwise, dtype in itertools.product(
        ("gaussian", "embedded_gaussian", "dot_product", "concatenation"), (np.float16, np.float32)
    ):
        add_embedded(cases, pairwise, dtype, heads=3, d=13)
    add_embedded(cases, "embedded_gaussian", np.float32, heads=1, d=8)
    add_groups(cases)
    add_parts(cases, group=None)
    add_parts(cases, group=2)
    add_patches(cases)
    add_affinities(cases)
    add_cosines(cases)
    path = tmp_path / "rows.bin"
    path.write_bytes(pack(header(cases.clip, cases.sources, cases=cases.cases), cases.sections))
    run_node("rows.test.mjs", NLVIZ_CONTAINER=str(path))
