"""What was saved with a network of transformers to make its input: a tokenizer, or a processor."""

from __future__ import annotations

import weakref
from pathlib import Path
from typing import Any

from torch import nn

from nlviz.errors import NlvizError

_WORDS: weakref.WeakKeyDictionary[Any, dict[int, tuple[str, ...]]] = weakref.WeakKeyDictionary()
_KNOWN: weakref.WeakKeyDictionary[nn.Module, dict[str, Any]] = weakref.WeakKeyDictionary()
_CURE = "give it with processor=, as the library's AutoProcessor or AutoTokenizer reads it"


def processor_of(net: nn.Module, kind: str) -> Any:
    """Return the ``AutoProcessor`` or ``AutoTokenizer`` that lies beside a network's weights.

    Nothing is downloaded, and no code of a folder is run.

    Args:
        net: the network.
        kind: which class of the library reads it.

    Raises:
        NlvizError: when there is none, or it cannot be read; the sentence says what cures it.
    """
    known = _KNOWN.setdefault(net, {})
    if kind not in known:
        known[kind] = _read(net, kind)
    return known[kind]


def _read(net: nn.Module, kind: str) -> Any:
    import transformers

    place = str(getattr(net, "name_or_path", "") or "")
    name, what = type(net).__name__, "tokenizer" if kind == "AutoTokenizer" else "processor"
    if not place:
        raise NlvizError(f"{name} needs its {what} to be given words, none came with it; {_CURE}")
    where = Path(place).name if Path(place).is_dir() else place
    try:
        found = getattr(transformers, kind).from_pretrained(
            place, local_files_only=True, trust_remote_code=False
        )
    except ImportError as error:
        raise NlvizError(
            f"the {what} of {name} needs a library that is not installed: {first_line(error)}"
        ) from None
    except Exception as error:  # whatever the library says of files that are not there
        raise NlvizError(
            f"the {what} of {name} could not be read from {where} ({first_line(error)}); save it "
            f"there, or {_CURE}"
        ) from error
    if kind == "AutoTokenizer" and not found.get_vocab().keys() - set(found.all_special_tokens):
        # The library makes one without a word of a configuration alone.
        raise NlvizError(f"{where} holds no tokenizer for {name}; save it there, or {_CURE}")
    if kind == "AutoProcessor" and not hasattr(found, "tokenizer"):
        raise NlvizError(
            f"{where} holds a {type(found).__name__}, no processor of pictures and words; save the "
            f"whole processor there, or {_CURE}"
        )
    return found


def first_line(error: Exception) -> str:
    """Return the first line of what a library says."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].strip()[:200].rstrip(".")


def vocabulary(tokenizer: Any, size: int) -> tuple[str, ...]:
    """Return what each number of a vocabulary stands for; tokens without a word are numbered."""
    known = _WORDS.setdefault(tokenizer, {})
    if size not in known:
        known[size] = _vocabulary(tokenizer, size)
    return known[size]


def _vocabulary(tokenizer: Any, size: int) -> tuple[str, ...]:
    names = [f"token {n}" for n in range(size)]
    for token, number in tokenizer.get_vocab().items():
        if 0 <= number < size:
            names[number] = token
    try:
        parts = tokenizer.batch_decode([[n] for n in range(size)])
    except Exception:  # a number beyond what it knows
        return tuple(names)
    shown = (p if p.strip() and "\ufffd" not in p else "" for p in parts)
    return tuple(p or n for p, n in zip(shown, names, strict=True))
