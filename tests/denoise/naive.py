"""Non-local means written from its formula, in float64, one pixel and one key at a time."""

from __future__ import annotations

import numpy as np


def non_local_means(
    frames: np.ndarray,
    *,
    h: float,
    sigma: float = 0.0,
    patch: int = 7,
    window: int = 21,
    patch_sigma: float | None = None,
    spatial: float | None = None,
    frames_window: int = 1,
) -> np.ndarray:
    """Return the result for (T, H, W) or (T, H, W, 3)."""
    grey = frames.ndim == 3
    x = (frames[..., None] if grey else frames).astype(np.float64)
    count, height, width, _ = x.shape
    q, r = patch // 2, window // 2
    m = q + r
    padded = np.pad(x, ((0, 0), (m, m), (m, m), (0, 0)), mode="reflect")
    shares = np.ones((patch, patch))
    if patch_sigma is not None:
        for i in range(patch):
            for j in range(patch):
                shares[i, j] = np.exp(-((i - q) ** 2 + (j - q) ** 2) / (2 * patch_sigma**2))
    shares /= shares.sum()

    def patch_at(frame: int, row: int, column: int) -> np.ndarray:
        return padded[frame, row + r : row + r + patch, column + r : column + r + patch]

    out = np.zeros_like(x)
    for t in range(count):
        for row in range(height):
            for column in range(width):
                own = patch_at(t, row, column)
                total, weighted = 0.0, 0.0
                for u in range(
                    max(0, t - frames_window // 2), min(count, t + frames_window // 2 + 1)
                ):
                    for dy in range(-r, r + 1):
                        for dx in range(-r, r + 1):
                            other = patch_at(u, row + dy, column + dx)
                            d = (((own - other) ** 2).mean(-1) * shares).sum()
                            f = np.exp(-max(d - 2 * sigma**2, 0) / h**2)
                            if spatial is not None:
                                f *= np.exp(-(dy**2 + dx**2) / (2 * spatial**2))
                            if (u, dy, dx) == (t, 0, 0):
                                f = 1.0
                            total += f
                            weighted = weighted + f * padded[u, row + dy + m, column + dx + m]
                out[t, row, column] = weighted / total
    return out[..., 0] if grey else out
