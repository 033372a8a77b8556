"""Networks of the library transformers with their weights: a folder of theirs, or ``hf:NAME``.

A folder holds what ``save_pretrained`` wrote: ``config.json``, weights (safetensors or torch, whole
or in shards) and a processor's file. Nothing in it is run: networks are the library's own classes,
code of a repository is refused, and weights are read as any other file of weights.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nlviz.captures.model import About, Model
from nlviz.errors import (
    DownloadFailed,
    NlvizError,
    UnknownModel,
    UnreadableCheckpoint,
    WeightsMismatch,
)
from nlviz.families import adapter_of_any
from nlviz.families.reading.picture_card import PROCESSORS, processor_in
from nlviz.files.cache import cache_folder, is_offline, remembered_digest
from nlviz.files.checked_json import parsed_json
from nlviz.files.local import digest_of
from nlviz.progress import Listener, Progress
from nlviz.zoo.files import read_checkpoint
from nlviz.zoo.files.folders import parts_of

PREFIX = "hf:"
_CONFIG = "config.json"
_WEIGHTS = re.compile(r"(model|pytorch_model).*\.(safetensors|bin|json)|config\.json")
_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")
_SAFE = ("*.safetensors", "*.safetensors.index.json")
_TORCH = ("pytorch_model*.bin", "pytorch_model*.bin.index.json")
# What holds a tokenizer, and the template of a chat.
_OF_WORDS = (
    *("tokenizer*.json", "tokenizer.model", "vocab.*", "merges.txt", "*.spm", "spiece.model"),
    *("special_tokens_map.json", "added_tokens.json", "chat_template.*", "generation_config.json"),
)
_LARGEST = 1 << 20  # bytes of a configuration, and any whole number in it
_GROWTH = 4  # parameters of a network for each number that its file holds
_FREE = 1 << 24  # parameters that no file needs to hold
# What would choose code, kernels or other weights than those of the folder.
_CHOICES = re.compile(r"auto_map|.*implementation.*|torch_dtype|dtype|transformers_version")


def is_transformers(name: str) -> bool:
    """Return whether a name is ``hf:NAME``, or the path of what the library saved.

    >>> is_transformers("hf:facebook/timesformer-base-finetuned-k400"), is_transformers("lite-nl")
    (True, False)
    """
    if name.startswith(PREFIX):
        return True
    path = Path(name)
    if path.is_file() and _WEIGHTS.fullmatch(path.name):
        path = path.parent
    config = path / _CONFIG
    if not name.strip() or not config.is_file() or config.stat().st_size > _LARGEST:
        return False
    try:
        found = parsed_json(config.read_bytes())
    except NlvizError:
        return False
    return isinstance(found, dict) and isinstance(found.get("model_type"), str)


def why_no_transformers(path: Path) -> str:
    """Return why a folder, or a file of the usual name, is none of transformers, as a clause.

    Empty where nothing speaks of that library.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     why_no_transformers(Path(folder))
    'it has no config.json, which save_pretrained of transformers writes beside the weights'
    """
    folder = path if path.is_dir() else path.parent
    if not path.is_dir() and not _WEIGHTS.fullmatch(path.name):
        return ""
    config = folder / _CONFIG
    if not config.is_file():
        where = "it has no" if path.is_dir() else "there is no"
        return f"{where} {_CONFIG}, which save_pretrained of transformers writes beside the weights"
    try:
        _configuration(folder)
    except NlvizError as error:
        return f"its {_CONFIG} is none of transformers ({error})"
    return ""


def transformers_model(
    name: str, *, progress: Listener | None = None, needs_blocks: bool = True
) -> Model:
    """Return a network of transformers with its weights, on the CPU and in eval mode.

    Args:
        name: ``hf:`` and a name or a path, or a path.
        progress: called with a sentence and a share in [0, 1].
        needs_blocks: refuse a network without attention.

    Raises:
        NlvizError: when the library is not installed, or the configuration makes no network.
        UnknownModel: when there is no such folder, or its network is code of its own.
        DownloadFailed: when the files cannot be had; the sentence says where to put them.
        UnreadableCheckpoint: when it holds no weights that can be read.
        WeightsMismatch: when the weights do not fit.
    """
    try:
        import transformers  # noqa: F401
    except ImportError:
        raise NlvizError(
            f'{name} needs the library transformers; install it with pip install "nlviz[hf]"'
        ) from None
    from nlviz.families.reading.class_names import labels_of
    from nlviz.families.reading.language_models import takes_words
    from nlviz.families.transformers import spec_of

    tell = Progress.of(progress)
    folder = _folder(name, tell)
    given = _configuration(folder)
    checkpoint = read_checkpoint(folder, progress=tell.part(0.5, 0.8))
    tell("Building the network", 0.8)
    with _quiet():
        net = _built(folder, given, checkpoint.tensors)
    net.eval().requires_grad_(False)
    labels = labels_of(net.config)
    video = "videos" in net.main_input_name or _takes_frames(net)
    processor = processor_in(folder, video=video)
    for part in net.modules():
        if hasattr(part, "name_or_path"):
            part.name_or_path = str(folder)  # as the library itself notes; its processor lies there
    about = About(name, "training unknown", _digest(folder))
    if takes_words(net):
        return Model(net, about=about, labels=labels)
    net = _that_sees(net)
    return Model(
        net,
        adapter=None if needs_blocks else adapter_of_any(net),
        about=about,
        labels=labels,
        input_spec=spec_of(net, processor),
    )


def transformers_download(name: str) -> str:
    """Return what is downloaded for a name, in a sentence; empty where it is here.

    >>> transformers_download("lite-nl")
    ''
    """
    rest = name.removeprefix(PREFIX)
    if not name.startswith(PREFIX) or Path(rest).exists() or not _NAME.fullmatch(rest):
        return ""
    if _kept(rest) is not None:
        return ""
    return (
        f"{rest} is not on this machine yet: its weights are downloaded from "
        f"https://huggingface.co/{rest}, whose page says how large they are, and their licence."
    )


def _folder(name: str, tell: Progress) -> Path:
    """Return the folder of a network: named, put by hand, in the hub's cache, or downloaded now."""
    rest = name.removeprefix(PREFIX)
    path = Path(rest).expanduser()
    if path.is_file():
        path = path.parent
    if path.is_dir():
        return path
    if not _NAME.fullmatch(rest):
        raise UnknownModel(
            f"there is no folder {rest!r}; name one that save_pretrained wrote, or "
            "hf:OWNER/NAME of huggingface.co"
        )
    if (kept := _kept(rest)) is not None:
        return kept
    why = "NLVIZ_OFFLINE forbids downloads"
    if not is_offline():
        try:
            tell(f"Downloading {rest}", 0.0)
            folder = _snapshot(rest, _SAFE, local=False)
            if not _has_weights(folder):
                folder = _snapshot(rest, _TORCH, local=False)
            return folder
        except OSError as error:  # all that the hub raises of its own are one
            why = (str(error).strip() or type(error).__name__).partition("\n")[0].rstrip(".")
        except Exception as error:  # whatever its client makes of a missing connection
            why = type(error).__name__
    raise DownloadFailed(
        f"{rest} could not be downloaded from https://huggingface.co/{rest}: {why}; get its "
        f"{_CONFIG}, {PROCESSORS[1]} and weights by other means and put them into "
        f"{_by_hand(rest)}"
    )


def _kept(name: str) -> Path | None:
    """Return the folder of a name where it is on this machine, with its weights."""
    by_hand = _by_hand(name)
    if (by_hand / _CONFIG).is_file():
        return by_hand
    try:
        folder = _snapshot(name, (*_SAFE, *_TORCH), local=True)
    except Exception:  # it is not there, or no name that the hub knows
        return None
    return folder if (folder / _CONFIG).is_file() and _has_weights(folder) else None


def _snapshot(name: str, weights: tuple[str, ...], *, local: bool) -> Path:
    from huggingface_hub import snapshot_download

    patterns = [_CONFIG, *PROCESSORS, *_OF_WORDS, *weights]
    return Path(
        snapshot_download(name, allow_patterns=patterns, local_files_only=local, etag_timeout=5)
    )


def _has_weights(folder: Path) -> bool:
    try:
        return bool(parts_of(folder))
    except UnreadableCheckpoint:
        return False


def _by_hand(name: str) -> Path:
    return cache_folder() / "weights" / "hf" / name.replace("/", "--")


def _configuration(folder: Path) -> dict[str, Any]:
    """Return the configuration without what would choose code or other weights.

    Raises:
        NlvizError: when it is none, or holds what makes no network.
    """
    path = folder / _CONFIG
    if not path.is_file() or path.stat().st_size > _LARGEST:
        raise NlvizError(f"{folder} must hold a {_CONFIG} of the library transformers")
    found = parsed_json(path.read_bytes(), of=_CONFIG)
    if not isinstance(found, dict) or not isinstance(found.get("model_type"), str):
        raise NlvizError(f"{_CONFIG} must be an object that names its model_type")
    return found


def _cleaned(value: Any) -> Any:
    if isinstance(value, dict):
        if "quantization_config" in value:
            raise NlvizError("its weights are quantised; save them as plain numbers")
        kept = {k: _cleaned(v) for k, v in value.items() if not _CHOICES.fullmatch(k)}
        if "use_pretrained_backbone" in kept:
            kept["use_pretrained_backbone"] = False
        if isinstance(kept.get("backbone"), str) and not (
            kept.get("use_timm_backbone") or kept.get("backbone_config")
        ):
            raise NlvizError(f"it takes its backbone from elsewhere, {kept['backbone'][:60]!r}")
        return kept
    if isinstance(value, list):
        return [_cleaned(v) for v in value]
    if isinstance(value, int) and not abs(value) <= _LARGEST:
        raise NlvizError(f"it holds the number {value:.3g}, which is no size of a network")
    return value


def _built(folder: Path, given: dict[str, Any], tensors: Mapping[str, Tensor]) -> Any:
    """Return the network with these weights.

    Raises:
        UnknownModel: when it is code of its own.
        NlvizError: when the configuration makes no network.
        WeightsMismatch: when the weights are not the network's.
    """
    kind = _kind(folder, given)
    try:
        clean = _cleaned(given)
    except NlvizError as error:
        raise NlvizError(f"the folder {folder.name} is not loaded: {error}") from None
    layers = sum(_layers(clean))
    if layers > len(tensors):
        raise WeightsMismatch(
            f"the folder {folder.name} is not loaded: its {_CONFIG} speaks of {layers} layers, its "
            f"weights are {len(tensors)} tensors"
        )
    try:
        config = kind.config_class.from_dict(clean)
        with torch.device("meta"):
            needs = sum(p.numel() for p in kind(config).parameters())
    except Exception as error:  # whatever the library says of a configuration
        raise NlvizError(
            f"the folder {folder.name} is not loaded: its {_CONFIG} makes no {kind.__name__} "
            f"({_first(error)})"
        ) from error
    there = sum(t.numel() for t in tensors.values())
    if needs > _GROWTH * there + _FREE:
        raise WeightsMismatch(
            f"the folder {folder.name} is not loaded: {kind.__name__} needs {needs:,} parameters, "
            f"its files hold {there:,}"
        )
    try:
        net, info = kind.from_pretrained(
            None,
            config=config,
            state_dict=dict(tensors),
            output_loading_info=True,
            dtype=torch.float32,
        )
    except Exception as error:  # whatever the library says of tensors
        raise WeightsMismatch(
            f"the folder {folder.name} does not hold the weights of {kind.__name__} "
            f"({_first(error)})"
        ) from error
    missing = sorted(n for n in info["missing_keys"] if "pooler.dense" not in n)
    if missing:
        shown = ", ".join(missing[:5]) + (", ..." if len(missing) > 5 else "")
        raise WeightsMismatch(
            f"the folder {folder.name} does not hold the weights of {kind.__name__}, which its "
            f"{_CONFIG} names: {len(missing)} are missing ({shown})"
        )
    return net


def _kind(folder: Path, given: Mapping[str, Any]) -> Any:
    """Return the library's class of a network.

    Raises:
        UnknownModel: when it is none of the library's.
    """
    import transformers
    from transformers import CONFIG_MAPPING, MODEL_MAPPING, PreTrainedModel

    names = [n for n in given.get("architectures") or () if isinstance(n, str)]
    for name in names:
        found = getattr(transformers, name, None) if name.isidentifier() else None
        if isinstance(found, type) and issubclass(found, PreTrainedModel):
            return found
    if not names and not given.get("auto_map") and given["model_type"] in CONFIG_MAPPING:
        return MODEL_MAPPING[CONFIG_MAPPING[given["model_type"]]]
    named = names[0] if names else given["model_type"]
    raise UnknownModel(
        f"the folder {folder.name} holds a network {named[:80]!r}, which is none of the library "
        f"transformers {transformers.__version__}; code of a repository is not run: build the "
        "network yourself and take nlviz.capture(net, clip)"
    )


def _layers(value: Any, key: str = "") -> Iterator[int]:
    """Yield the numbers of layers in a configuration."""
    if isinstance(value, dict):
        for name, inside in value.items():
            yield from _layers(inside, str(name))
    elif isinstance(value, list):
        for inside in value:
            yield from _layers(inside, key)
    elif isinstance(value, int) and re.search(r"num_.*layers|depths?$|^layers$", key):
        yield max(int(value), 0)


def _that_sees(net: Any) -> Any:
    """Return the part of a network that takes a picture alone."""
    given = inspect.signature(net.forward).parameters
    part = next((m for n, m in net.named_children() if "vision" in n), None)
    if "input_ids" in given and part is not None:
        return part
    masked = given.get("bool_masked_pos")
    if masked is not None and masked.default is inspect.Parameter.empty:
        return net.base_model
    return net


def _takes_frames(net: Any) -> bool:
    return any(hasattr(net.config, name) for name in ("num_frames", "frames_per_clip"))


def _digest(folder: Path) -> str:
    found = [remembered_digest(part) for part in parts_of(folder)]
    return found[0] if len(found) == 1 else digest_of(" ".join(found).encode())


def _first(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:200]


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the library from drawing bars and tables of what it loads."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(logging.CRITICAL)
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
