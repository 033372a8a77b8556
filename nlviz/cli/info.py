"""`nlviz info`: versions, devices and where the files are."""

from __future__ import annotations

from pathlib import Path

import typer


def info() -> None:
    """Print versions, devices, bundled inputs and where the files are."""
    import platform
    from importlib.metadata import PackageNotFoundError, version

    import av

    import nlviz
    from nlviz.resources import asset, bundled_inputs
    from nlviz.zoo.devices import device_name, list_devices
    from nlviz.zoo.load import list_models

    packages = []
    for name in ("torch", "torchvision", "timm", "numpy", "streamlit", "plotly"):
        try:
            packages.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            packages.append(f"{name} missing")
    import PIL
    import pillow_heif

    pictures = [f"Pillow {PIL.__version__}", f"libheif {pillow_heif.libheif_version()}"]
    pictures += [f"{name} {version(name)}" for name in ("tifffile", "opencv-python-headless")]
    codec = ".".join(map(str, av.library_versions["libavcodec"]))
    lines = {
        "nlviz": nlviz.__version__,
        "python": f"{platform.python_version()} on {platform.system()} {platform.machine()}",
        "packages": ", ".join(packages),
        "video": f"PyAV {av.__version__}, libavcodec {codec}",
        "pictures": ", ".join(pictures),
        "devices": "; ".join(f"{d} ({device_name(d)})" for d in list_devices()),
        "models": ", ".join(list_models()),
        "inputs": ", ".join(bundled_inputs()),
        "package": str(Path(nlviz.__file__).parent),
        "assets": str(asset("README.md").parent),
    }
    for label, text in lines.items():
        typer.echo(f"{label:9} {text}")
