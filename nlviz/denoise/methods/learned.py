"""The entries of the two learned networks, which differ in one block."""

from __future__ import annotations

from functools import partial
from typing import Literal

import numpy as np

from nlviz.denoise.denoiser import Denoiser, Parameter
from nlviz.denoise.image import Image
from nlviz.errors import NlvizError
from nlviz.progress import Progress
from nlviz.resources import asset

_LEVEL = Parameter("noise that it is told; more smooths more", 1.0, 0.2, 3.0, 0.05, "sigma")


def _run(
    picture: Image,
    sigma: float,
    white: float,
    report: Progress,
    *,
    kind: Literal["local", "nonlocal"],
    level: float,
) -> Image:
    from nlviz.denoise.networks.restore import restore

    planes = picture[None] if picture.ndim == 2 else picture.transpose(2, 0, 1)
    shares = np.ascontiguousarray(planes / planes.dtype.type(white))
    done = restore(shares, level / white, kind, progress=report)
    image = done[0] if picture.ndim == 2 else done.transpose(1, 2, 0)
    return np.asarray(image * white, picture.dtype)


def _there(kind: str) -> bool:
    try:
        return asset(f"weights/denoiser-{kind}.safetensors").is_file()
    except NlvizError:
        return False


def _entry(
    name: str, kind: Literal["local", "nonlocal"], label: str, formula: str, note: str
) -> Denoiser:
    return Denoiser(
        name,
        label,
        formula,
        "trained here: python -m nlviz.recipes.denoiser",
        "Apache-2.0 (nlviz)",
        f"Takes float. Trained for sigma 5 to 50 of 255. {note}",
        {"level": _LEVEL},
        partial(_run, kind=kind),
        "level",
        scales=True,
        ready=partial(_there, kind),
        missing=f"its weights, assets/weights/denoiser-{kind}.safetensors, are not there; "
        "train them with python -m nlviz.recipes.denoiser",
    )


DENOISERS = (
    _entry(
        "learned-local",
        "local",
        "Learned, local",
        "noise = a residual network of x and sigma",
        "Its middle block looks at its own cell only.",
    ),
    _entry(
        "learned-nonlocal",
        "nonlocal",
        "Learned, non-local",
        "the same network, its middle block z_i = W_z sum_j f(x_i, x_j) g(x_j) / C + x_i",
        "Its middle block is non-local: f = exp(theta · phi).",
    ),
)
