"""Results of the denoisers: table, charts, lens, files."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import streamlit as st

import nlviz

from ..shared import saving
from ..shared.language import spoken
from ..shared.markdown import plain, plain_but_bold
from ..shared.saving import Kind
from . import state
from .choices import LensSaid

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

    from .picture import Picture

TIE = 0.05  # decibels: invisible, and another seed changes the order
KINDS = (
    Kind("PNG", "png", "image/png", "The figure: pictures, method noises, measures"),
    Kind("PDF", "pdf", "application/pdf", "The same figure for print, without loss"),
    Kind("SVG", "svg", "image/svg+xml", "The same figure to edit: text and marks as vectors"),
    Kind("CSV", "csv", "text/csv", "The table, every digit of it"),
    Kind(
        "JSON",
        "json",
        "application/json",
        "The table and all that `nlviz denoise` needs to compute it again",
    ),
)


def summary(done: nlviz.denoise.Comparison, picture: Picture) -> str:
    """Return picture, noise and best denoiser in one plain sentence."""
    height, width = picture.size
    own = picture.own_size
    reduced = "" if own == picture.size else f" (reduced from {own[1]} × {own[0]})"
    noise = done.setup.noise
    what = (
        f"taken as noisy already, sigma {done.sigma:.3g} ({done.sigma_from})"
        if noise is None
        else f"with {noise.sentence[:1].lower() if noise.kind != 'gaussian' else 'G'}"
        f"{noise.sentence[1:]}, seed {done.setup.seed}"
    )
    if noise is not None and noise.kind == "poisson-gaussian":
        what = what.replace("poisson", "Poisson")
    frames = f"{len(done.noisy)} frames of " if done.of_clip else ""
    text = f"{plain(picture.name)}, {frames}{width} × {height} px{reduced}, {what}"
    best = done.best("psnr")
    if best is None or done.psnr is None:
        return f"{text}. Without the clean picture nothing can be measured; look at the lens."
    first = done.results[best]
    top = first.psnr or 0.0
    level = [r.label for r in done.results.values() if r is not first and top - (r.psnr or 0) < TIE]
    also = f"; level with it, within {TIE:g} dB: {', '.join(level)}" if level else ""
    return (
        f"{text}: {done.psnr:.2f} dB. The best here is **{first.label}** with "
        f"**{top:.2f} dB**{also}."
    )


def table(place: DeltaGenerator, done: nlviz.denoise.Comparison, waiting: list[str]) -> None:
    """Draw the table, best values marked; denoisers that are still computed are named."""
    lines = ["| | PSNR, dB | SSIM | seconds |", "| :-- | --: | --: | --: |"]
    before = {"psnr": done.psnr, "ssim": done.ssim, "seconds": 0.0}
    if done.psnr is not None:
        psnr, ssim, _ = nlviz.denoise.numbers_of(before)
        lines.append(f"| *Noisy* | {psnr} | {ssim} | |")
    for row in done.table:
        cells = [
            f"★**{text}**" if column in row["best"] else text
            for column, text in zip(
                ("psnr", "ssim", "seconds"), nlviz.denoise.numbers_of(row), strict=True
            )
        ]
        if done.psnr is None:
            cells[:2] = ["–", "–"]
        lines.append(f"| {plain(row['label'])} | {' | '.join(cells)} |")
    lines += [f"| {plain(label)} | … | … | … |" for label in waiting]
    place.markdown("\n".join(lines))


def notes(done: nlviz.denoise.Comparison) -> None:
    """Draw the notes on the table, and each denoiser's parameters."""
    said = [
        "PSNR: higher is closer to the clean picture, 1 dB is visible. SSIM: 1 = same structure. "
        "★ best. Time: this machine, one run."
        if done.psnr is not None
        else "No clean picture, so no PSNR and no SSIM."
    ]
    if done.precision == "uint8":
        said.append("Same input for all: rounded and clipped to 8 bits, as one of them asks for.")
    if done.of_clip:
        said.append("Measured over all frames; the lens shows the middle one.")
    st.caption(" ".join(said))
    with st.expander(spoken("Parameters and notes of each")):
        for row in done.table:
            values = ", ".join(
                f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
                for name, value in row["parameters"].items()
                if value is not None
            )
            text = f"**{row['label']}** ({values or 'none'}). {row['note']}"
            licence = f" Licence: {row['licence']}."
            st.caption(f"{plain_but_bold(text)}{licence}")


def charts(done: nlviz.denoise.Comparison) -> None:
    """Draw the bar chart, and the grids where strengths were tuned."""
    if done.psnr is None:
        return
    quiet = {"displayModeBar": False}
    st.plotly_chart(nlviz.render.charts.decibels(done), config=quiet, key="dn_bars")
    if done.setup.fair:
        st.markdown(spoken("##### PSNR over strength, as tuned against the clean picture"))
        st.plotly_chart(nlviz.render.charts.grids(done), config=quiet, key="dn_grids")
        best = ", ".join(
            f"{plain(r.label)} {r.tuned.parameter} = {r.tuned.value:.4g}"
            for r in done.results.values()
            if r.tuned is not None
        )
        st.caption(f"The oracle's choice, in grey levels or pixels: {best}.")


def lens(done: nlviz.denoise.Comparison) -> None:
    """Draw the lens; a click in it moves the query."""
    from ..shared import lens as component
    from .live import lens as payload_of

    st.markdown(spoken("##### Look closer"))
    component.mount(payload_of(done), key=state.LENS, on_point=_pointed)


def _pointed() -> None:
    """Move the query to the pixel that was clicked in the lens."""
    said = st.session_state[state.LENS].get("point")
    if said:
        now = state.STATE.now
        frame = now.where.frame if now.opening is not None or now.query is not None else 0.0
        at = said["point"]
        query = None if at is None else nlviz.Point(frame, float(at["y"]), float(at["x"]))
        state.STATE.act(LensSaid(str(said["of"]), said["n"], query))
        st.session_state.dn_pointed = True


def save(done: nlviz.denoise.Comparison, picture: Picture, command: str | None) -> None:
    """Draw the buttons that save the comparison."""
    st.markdown(spoken("##### Save this comparison"))
    stem = picture.name.rsplit(".", 1)[0]

    def make(kind: str) -> bytes:
        return bytes(nlviz.render.comparison_bytes(done, kind))

    saving.buttons("dn_save_", KINDS, make, f"{stem}-denoised")
    if command is not None:
        st.caption(spoken("The same numbers on the command line:"))
        st.code(command, language="bash", wrap_lines=True)


def command_of(done: nlviz.denoise.Comparison, source: Mapping[str, Any] | None) -> str | None:
    """Return the command that gives the same digits, or None for uploads."""
    if source is None:
        return None
    setup, words = done.setup, ["nlviz", "denoise", str(source["name"])]
    if source["size"] is not None:
        words += ["--size", str(source["size"])]
    if source["grey"]:
        words.append("--grey")
    if source["frames"] != 1:
        words += ["--frames", str(source["frames"])]
    if source["start"]:
        words += ["--start", f"{source['start']:.9g}"]
    noise = setup.noise
    if noise is None:
        words.append("--noisy")
        words += [] if setup.sigma is None else ["--sigma", f"{setup.sigma:g}"]
    else:
        if noise.kind != "gaussian":
            words += ["--noise", noise.kind]
        if noise.kind == "salt-and-pepper":
            words += ["--amount", f"{noise.amount:g}"]
        else:
            words += ["--sigma", f"{noise.sigma:g}"]
        if noise.kind == "poisson-gaussian":
            words += ["--gain", f"{noise.gain:g}"]
        words += ["--clipped"] if noise.clipped else []
        words += ["--seed", str(setup.seed)]
    words += ["--fair"] if setup.fair else []
    for name in setup.denoisers:
        words += ["--denoiser", name]
    for name, values in setup.parameters.items():
        for parameter, value in values.items():
            words += ["--set", f"{name}.{parameter}={value}"]
    return shlex.join(words)
