"""`nlviz models` and `nlviz info`: what can be loaded, and on what."""

from __future__ import annotations

import sys
from pathlib import Path

import typer


def models() -> None:
    """List the models that can be loaded by name."""
    from nlviz.zoo.load import CARDS, is_here, list_models

    if not sys.stdout.isatty():
        for name in list_models():
            typer.echo(name)
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("model", "trained for", "published", "licence", "file", box=None)
    absent = {True: "downloads", False: "to be put by hand"}
    for name in list_models():
        card = CARDS[name]
        table.add_row(
            name,
            card.trained_for,
            card.accuracy or "-",
            card.licence + (" (no commercial use)" if card.non_commercial else ""),
            "bundled" if card.weights else "here" if is_here(card) else absent[bool(card.url)],
        )
    Console().print(table)


def info() -> None:
    """Print versions, devices, bundled inputs and where the files are."""
    import platform
    from importlib.metadata import PackageNotFoundError, version

    import av

    import nlviz
    from nlviz.resources import asset, bundled_inputs
    from nlviz.zoo.devices import device_name, devices
    from nlviz.zoo.load import list_models

    packages = []
    for name in ("torch", "torchvision", "timm", "numpy", "streamlit", "plotly"):
        try:
            packages.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            packages.append(f"{name} missing")
    codec = ".".join(map(str, av.library_versions["libavcodec"]))
    lines = {
        "nlviz": nlviz.__version__,
        "python": f"{platform.python_version()} on {platform.system()} {platform.machine()}",
        "packages": ", ".join(packages),
        "video": f"PyAV {av.__version__}, libavcodec {codec}",
        "devices": "; ".join(f"{d} ({device_name(d)})" for d in devices()),
        "models": ", ".join(list_models()),
        "inputs": ", ".join(bundled_inputs()),
        "package": str(Path(nlviz.__file__).parent),
        "assets": str(asset("README.md").parent),
    }
    for label, text in lines.items():
        typer.echo(f"{label:9} {text}")
