"""Weights in several files: a folder, or shards and an index of which tensor lies where."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from nlviz.errors import UnreadableCheckpoint, did_you_mean

_INDEX = ".index.json"
_LARGEST_INDEX = 64 * 2**20
_NAMES = ("model.safetensors", "pytorch_model.bin", "diffusion_pytorch_model.safetensors")
_ENDINGS = (".safetensors", ".pth", ".pt", ".bin", ".ckpt", ".pkl", ".pyth", ".tar", ".pth.tar")
_FOREIGN = (
    (".distcp", "a distributed checkpoint of PyTorch; make one file of it with `python -m "
     "torch.distributed.checkpoint.format_utils dcp_to_torch FOLDER net.pth`"),
    (".msgpack", "weights of Flax alone; save them from PyTorch"),
    (".h5", "weights of Keras alone; save them from PyTorch"),
    (".index", "a checkpoint of TensorFlow; only torch, Caffe2 and safetensors weights are read"),
    (".onnx", "an ONNX network; save the state_dict of the torch network it came from"),
    (".gguf", "a GGUF file of a language model; take its safetensors"),
)  # fmt: skip


def is_in_parts(path: Path) -> bool:
    """Return whether a path names a folder or the index of shards, rather than one file."""
    return path.is_dir() or path.name.endswith(_INDEX)


def parts_of(path: Path) -> list[Path]:
    """Return the files of weights that a folder or an index names, in their order.

    A folder's index goes before a single file; of several single files a usual name is taken.

    Raises:
        UnreadableCheckpoint: when there are none, several that could be meant, or a shard of the
            index is missing.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     (Path(folder) / "model.safetensors").touch()
    ...     [file.name for file in parts_of(Path(folder))]
    ['model.safetensors']
    """
    if path.name.endswith(_INDEX) and not path.is_dir():
        return list(dict.fromkeys(path.parent / shard for shard in shards(path).values()))
    names = sorted(p.name for p in path.iterdir() if p.is_file())
    indices = [name for name in names if name.endswith(_INDEX)]
    indices.sort(key=lambda name: (not name.endswith(f".safetensors{_INDEX}"), name))
    if indices:
        return parts_of(path / indices[0])
    known = [name for name in _NAMES if name in names]
    found = known[:1] or [name for name in names if name.lower().endswith(_ENDINGS)]
    if len(found) == 1:
        return [path / found[0]]
    if found:
        shown = ", ".join(found[:5]) + (", ..." if len(found) > 5 else "")
        raise UnreadableCheckpoint(
            f"the folder {path.name} holds several files of weights ({shown}); name one of them"
        )
    for ending, told in _FOREIGN:
        if any(name.endswith(ending) for name in names):
            raise UnreadableCheckpoint(f"the folder {path.name} holds {told}")
    inside = sorted(p.name for p in path.iterdir() if (p / "config.json").is_file())
    if inside:
        raise UnreadableCheckpoint(
            f"the folder {path.name} holds no weights itself, but in it "
            f"{', '.join(inside[:5])}{', ...' * (len(inside) > 5)}; name that folder"
        )
    shown = ", ".join(names[:5]) or "no file"
    raise UnreadableCheckpoint(
        f"the folder {path.name} holds no weights ({shown}); name a folder with a safetensors or "
        "torch file, or the file itself"
    )


def shards(index: Path) -> Mapping[str, str]:
    """Return the name of the shard of each tensor, as an index says; all shards are there.

    Raises:
        UnreadableCheckpoint: when the index is broken, or a shard is missing.
    """
    try:
        if index.stat().st_size > _LARGEST_INDEX:
            raise ValueError("it is larger than any index")
        places = json.loads(index.read_bytes()).get("weight_map")
        if not isinstance(places, dict) or not places:
            raise ValueError("it has no weight_map")
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        raise UnreadableCheckpoint(
            f"{index.name} is no index of shards ({error}); download it again"
        ) from None
    for shard in dict.fromkeys(places.values()):
        if not isinstance(shard, str) or Path(shard).name != shard or shard in ("", ".", ".."):
            raise UnreadableCheckpoint(
                f"{index.name} names the shard {str(shard)[:80]!r}, which is no file beside it; "
                "nothing was read, get the index from its authors"
            )
        if not (index.parent / shard).is_file():
            there = [p.name for p in index.parent.iterdir()]
            raise UnreadableCheckpoint(
                f"{index.name} says that weights lie in {shard}, which is not there"
                f"{did_you_mean(shard, there)}; download all shards into one folder"
            )
    return places
