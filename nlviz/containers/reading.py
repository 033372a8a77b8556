"""One way to read them all."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from nlviz.clip import Progress
from nlviz.containers.checkpoint import Checkpoint
from nlviz.containers.kinds import kind_of, what_it_is
from nlviz.containers.numpy_pickle import read_pickle
from nlviz.containers.packings import from_gzip, from_tar
from nlviz.containers.safetensors_file import read_safetensors
from nlviz.containers.source import Source, mapped
from nlviz.containers.state_dict import Weights
from nlviz.containers.torch_files import read_torch_legacy, read_torch_zip
from nlviz.errors import UnreadableCheckpoint

_MOST_PACKINGS = 3
_READERS = {
    "torch zip": read_torch_zip,
    "torch legacy": read_torch_legacy,
    "numpy pickle": read_pickle,
}


def read_checkpoint(path: str | PathLike[str], *, progress: Progress | None = None) -> Checkpoint:
    """Read the weights of a file, whatever wrote it and whatever it is called.

    Nothing in the file is run, nothing is written, and memory stays within a few times the file's
    size. Tensors are views of the file where they can be; they may be written to, the file does
    not change. They are on the CPU and of the dtype that was stored. The file may be deleted or
    replaced while they are in use, but must not be cut short in place: clone them to outlive that.

    Args:
        path: the file.
        progress: called with a sentence and a share in [0, 1].

    Raises:
        UnsafeCheckpoint: when the file asks for anything but the parts of weights.
        UnreadableCheckpoint: when it is missing, broken or cut short, of a kind that cannot be
            read, holds no weights, or weights that are NaN or infinite.

    >>> import tempfile, torch
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     torch.save({"epoch": 3, "state_dict": {"fc.bias": torch.ones(2)}}, folder + "/a.pkl")
    ...     found = read_checkpoint(folder + "/a.pkl")
    >>> found.container, found.wrapper, dict(found.meta)
    ('torch zip', 'state_dict', {'epoch': 3})
    >>> found.tensors["fc.bias"]
    tensor([1., 1.])
    """
    path = Path(path)
    if progress:
        progress(f"Reading {path.name}", 0.0)
    source = mapped(path)
    size = len(source.data)
    container, weights = _opened(source, path, progress)
    if progress:
        progress(f"Read {path.name}", 1.0)
    return Checkpoint(
        path, container, weights.tensors, weights.wrapper, weights.meta, weights.left, size
    )


def _opened(source: Source, path: Path, progress: Progress | None) -> tuple[str, Weights]:
    packed = ""
    for _ in range(_MOST_PACKINGS + 1):
        kind = kind_of(source)
        if kind in _READERS:
            weights = _READERS[kind](source)
            if kind == "numpy pickle" and weights.wrapper == "blobs":
                kind = "caffe2 pickle"
            return kind + packed, weights
        if kind == "gzip":
            source, packed = from_gzip(source, progress), f" in gzip{packed}"
        elif kind == "tar":
            source, packed = from_tar(source), f" in tar{packed}"
        elif kind == "safetensors" and not packed:
            return kind, read_safetensors(source, path)
        elif kind == "safetensors":
            raise UnreadableCheckpoint(
                f"{source.name} is a safetensors file{packed}; unpack it and name the file inside"
            )
        else:
            raise UnreadableCheckpoint(f"{source.name} is {what_it_is(source)}")
    raise UnreadableCheckpoint(
        f"{source.name} is packed more than {_MOST_PACKINGS} times; unpack it and name the "
        "weights file"
    )
