"""Equations (1) to (5) of Wang et al. 2018 written out in plain float64 numpy.

Nothing here goes through nlviz: it is what the tests compare nlviz with.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
SOFTMAX = ("gaussian", "embedded_gaussian", "nl_means", "bilateral")


def affinity_rows(
    pairwise: str,
    theta: npt.ArrayLike,
    phi: npt.ArrayLike,
    *,
    scale: float = 1.0,
    bias: npt.ArrayLike | None = None,
    allowed: npt.ArrayLike | None = None,
) -> Array:
    """Return (heads, queries, keys) rows, one after the other.

    bias: (heads or 1, 1 or queries, keys); allowed: (queries, keys) bool.
    """
    theta_, phi_ = np.asarray(theta, np.float64), np.asarray(phi, np.float64)
    heads, queries, _ = theta_.shape
    keys = phi_.shape[1]
    rows = np.zeros((heads, queries, keys))
    for head, i in itertools.product(range(heads), range(queries)):
        reached = np.ones(keys, bool) if allowed is None else np.asarray(allowed)[i]
        if not reached.any():
            continue
        if pairwise == "concatenation":
            logits = theta_[head, i, 0] + phi_[head, :, 0]
        else:
            logits = scale * np.array([theta_[head, i] @ phi_[head, j] for j in range(keys)])
        if bias is not None:
            b = np.asarray(bias, np.float64)
            logits = logits + b[head % b.shape[0], i % b.shape[1]]
        if pairwise in SOFTMAX:
            f = np.exp(logits - logits[reached].max())
            c = f[reached].sum()
        else:
            f = np.maximum(logits, 0.0) if pairwise == "concatenation" else logits
            c = 1.0 if pairwise == "cosine" else float(reached.sum())
        rows[head, i, reached] = f[reached] / c
    return rows


def block_output(
    x: npt.ArrayLike,
    weights: Mapping[str, npt.ArrayLike],
    *,
    pairwise: str,
    pool: Sequence[int],
    pool_first: bool,
    scale: float,
    unit_length: bool,
    norm: bool,
) -> Array:
    """Return W_z y + x of a non-local block in eval mode; x is (batch, channels, *grid)."""
    x_ = np.asarray(x, np.float64)
    w = {k: np.asarray(v, np.float64) for k, v in weights.items()}

    def project(name: str, features: Array) -> Array:
        kernel = w[f"{name}.weight"].reshape(w[f"{name}.weight"].shape[:2])
        out = np.einsum("oc,bc...->bo...", kernel, features)
        shape = (1, -1) + (1,) * (features.ndim - 2)
        return np.asarray(out + w[f"{name}.bias"].reshape(shape))

    def keys_of(name: str | None) -> Array:
        if name is None:
            return max_pool(x_, pool)
        if pool_first:
            return project(name, max_pool(x_, pool))
        return max_pool(project(name, x_), pool)

    theta = x_ if pairwise == "gaussian" else project("theta", x_)
    phi = keys_of(None if pairwise == "gaussian" else "phi")
    g = keys_of("g")
    theta_n, phi_n, g_n = (v.reshape(*v.shape[:2], -1).transpose(0, 2, 1) for v in (theta, phi, g))
    if unit_length:
        theta_n = theta_n / np.linalg.norm(theta_n, axis=-1, keepdims=True)
        phi_n = phi_n / np.linalg.norm(phi_n, axis=-1, keepdims=True)
        scale = math.exp(float(w["log_scale"]))
    if pairwise == "concatenation":
        d = theta_n.shape[-1]
        theta_n, phi_n = theta_n @ w["w_f"][:d, None], phi_n @ w["w_f"][d:, None]
    rows = affinity_rows(pairwise, theta_n, phi_n, scale=scale)
    y = np.einsum("bij,bjc->bci", rows, g_n).reshape(x_.shape[0], -1, *x_.shape[2:])
    z = project("out", y)
    if norm:
        shape = (1, -1) + (1,) * (x_.ndim - 2)
        mean, var, gamma, beta = (
            w[f"bn.{n}"].reshape(shape) for n in ("running_mean", "running_var", "weight", "bias")
        )
        z = (z - mean) / np.sqrt(var + 1e-5) * gamma + beta
    return np.asarray(x_ + z)


def max_pool(x: Array, kernel: Sequence[int]) -> Array:
    """Return the maximum over blocks of this kernel; what does not fill a block is dropped."""
    grid = [n // k for n, k in zip(x.shape[2:], kernel, strict=True)]
    out = np.full((*x.shape[:2], *grid), -np.inf)
    for place in itertools.product(*(range(n) for n in grid)):
        parts = [slice(p * k, p * k + k) for p, k in zip(place, kernel, strict=True)]
        block = x[(slice(None), slice(None), *parts)]
        out[(slice(None), slice(None), *place)] = block.reshape(*x.shape[:2], -1).max(-1)
    return out
