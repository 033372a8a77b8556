"""Which part of a network's output are its class scores, and what was made of it, in a sentence.

Networks return a tensor, a tuple, a dict, a named tuple or a dataclass of them, one score for a
clip or for each frame, probabilities or what a softmax makes them of. What is no score per class is
left alone, and said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from nlviz.errors import MOST_NAMES, NlvizError, did_you_mean

Choice = str | int | Callable[[Any], Any]

# What class scores are called, in this order; and what is called so is something else.
_SCORES: tuple[str, ...] = (
    *("logits", "class_logits", "cls_logits", "class_scores", "scores", "cls_score"),
    *("prediction", "predictions", "preds", "pred", "out", "output", "y_hat"),
)
_OTHERS = ("iou", "hidden", "feature", "embed", "pool", "attention", "loss", "box", "mask", "past")


@dataclass(frozen=True)
class ClassScores:
    """Class scores found in an output.

    Attributes:
        logits: (classes,), with the gradient of the output; None where there are no class scores.
        note: a sentence about what was taken, or why nothing; empty where an output is just one
            vector of scores.
        independent: whether each class has a probability of its own, the sigmoid of its logit.
    """

    logits: Float[Tensor, " classes"] | None
    note: str = ""
    independent: bool = False

    @property
    def notes(self) -> tuple[str, ...]:
        """The note, or nothing."""
        return (self.note,) if self.note else ()


@dataclass(frozen=True)
class _Rows:
    """Scores of each frame or step, (n, classes)."""

    rows: Tensor
    of: str = ""  # "frames", "steps in time" where n > 1


def told_scores(own: Tensor | str | None, note: str) -> ClassScores:
    """Return the class scores that a family found, or the sentence on why there are none."""
    return ClassScores(None, own) if isinstance(own, str) else ClassScores(own, note)


def class_scores(
    net: nn.Module,
    output: Any,
    *,
    frames: int,
    batch: int = 1,
    labels: int = 0,
    choice: Choice | None = None,
    each: str = "",
) -> ClassScores:
    """Find the class scores in a network's output.

    Args:
        net: the network.
        output: what it returned.
        frames: of the clip.
        batch: of the network's input.
        labels: how many names of classes are known.
        choice: which part of the output to take: a key or the name of a field, dotted where it lies
            deeper, an index, or a function of the output.
        each: what every row of the output scores by itself, ``node`` for instance; empty where it
            scores the whole.

    Raises:
        NlvizError: when ``choice`` names nothing, or something that is no score per class.

    >>> net = nn.Linear(3, 5)
    >>> import torch
    >>> output = {"aux": torch.zeros(1, 5), "logits": torch.ones(1, 5)}
    >>> found = class_scores(nn.Linear(3, 5), output, frames=1)
    >>> found.logits
    tensor([1., 1., 1., 1., 1.])
    >>> print(found.note)
    Logits are output['logits'] (of aux, logits); output= takes another.
    """
    if getattr(net, "num_classes", None) == 0 and choice is None:
        # so timm calls a network without a head
        return ClassScores(
            None, "The network has no head: its output is features, no class scores."
        )
    if each and choice is None:
        return ClassScores(None, f"The network scores each {each} by itself, not the whole.")
    known = _known_classes(net, labels)
    most = max(frames, batch)
    if choice is not None:
        taken, name = chosen_of(output, choice)
        rows = _rows(taken, most, known) if isinstance(taken, Tensor) else None
        if rows is None:
            raise NlvizError(
                f"output= must give one score per class, for the clip or each frame; {name} is "
                f"{described(taken)}"
            )
        return _settled(net, rows, f"Logits are {name}." if name else "")
    parts = list(parts_of(output))
    scores = [(name, found) for name, x in parts if (found := _scores(name, x, most, known))]
    if not scores:
        return ClassScores(
            None,
            f"No class scores were found: the network returns {described(output)}; say output= to "
            "take a part of it.",
        )
    name, rows = min(scores, key=lambda s: _rank(s[0], s[1], labels))
    note = ""
    if len(parts) > 1:
        names = ", ".join(_shown(n) for n, _ in parts[:MOST_NAMES])
        more = ", …" if len(parts) > MOST_NAMES else ""
        note = f"Logits are output{_subscript(name)} (of {names}{more}); output= takes another."
    return _settled(net, rows, note)


def described(output: Any) -> str:
    """Return what an output is, for a sentence.

    >>> import torch
    >>> described({"out": torch.zeros(1, 21, 3, 5)}), described(None)
    ('a dict of out (1, 21, 3, 5)', 'None')
    """
    if output is None:
        return "None"
    if isinstance(output, Tensor):
        return f"a tensor {tuple(output.shape)}"
    parts = list(parts_of(output))
    if not parts:
        return f"{_kind(output)} without tensors"
    told = ", ".join(f"{_shown(n)} {tuple(x.shape)}" for n, x in parts[:6])
    return f"{_kind(output)} of {told}" + (", …" if len(parts) > 6 else "")


def _kind(output: Any) -> str:
    name = type(output).__name__
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"


def parts_of(output: Any, name: str = "") -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors in an output by dotted name."""
    if isinstance(output, Tensor):
        yield name, output
        return
    for key, value in _items(output):
        yield from parts_of(value, f"{name}.{key}" if name else key)


def _items(output: Any) -> list[tuple[str, Any]]:
    if isinstance(output, Mapping):
        return [(str(k), v) for k, v in output.items()]
    if is_dataclass(output) and not isinstance(output, type):
        return [(f.name, getattr(output, f.name)) for f in fields(output)]
    if isinstance(output, tuple) and hasattr(output, "_fields"):
        return list(zip(output._fields, output, strict=True))
    if isinstance(output, (list, tuple)):
        return [(str(i), v) for i, v in enumerate(output)]
    return []


def chosen_of(output: Any, choice: Choice) -> tuple[Any, str]:
    """Return the part of an output that a choice names, and what to call it.

    Raises:
        NlvizError: when it names nothing.
    """
    if not isinstance(choice, (str, int)):
        return choice(output), ""
    at = output
    for part in str(choice).split("."):
        items = dict(_items(at))
        if isinstance(choice, int) and items:
            part = list(items)[choice] if -len(items) <= choice < len(items) else part
        if part not in items:
            raise NlvizError(
                f"the output has no {choice!r}, it is {described(output)}"
                f"{did_you_mean(part, items) if items else ''}"
            )
        at = items[part]
    return at, f"output[{choice!r}]"


def _scores(name: str, x: Tensor, most: int, known: tuple[int, ...]) -> _Rows | None:
    last = name.rpartition(".")[2].lower()
    if last not in _SCORES and any(word in last for word in _OTHERS):
        return None
    return _rows(x, most, known)


def _rows(x: Tensor, most: int, known: tuple[int, ...]) -> _Rows | None:
    """Return scores as (n, classes); None where a tensor is no score per class.

    Args:
        x: the tensor.
        most: frames or parts of the clip that may have scores of their own.
        known: numbers of classes that the network or its labels speak of.
    """
    if not x.is_floating_point() or not x.numel():
        return None
    while x.dim() > 2 and x.shape[-1] == 1:
        x = x[..., 0]
    if x.dim() == 1:
        # as many numbers as frames are more likely one for each frame
        one_each = 1 < len(x) == most and len(x) not in known
        return None if one_each else _Rows(x[None])
    if x.dim() == 2 and len(x) <= most:
        return _Rows(x, "frames" if len(x) > 1 else "")
    if x.dim() != 3 or len(x) != 1:
        return None
    a, b = x.shape[1:]
    by_known = (a in known) - (b in known)
    by_time = (b == most) - (a == most)
    channels_first = by_known > 0 if by_known else by_time > 0
    if not by_known and not by_time:
        return None
    rows = x[0].mT if channels_first else x[0]
    return (
        _Rows(rows, "frames" if len(rows) == most else "steps in time")
        if len(rows) <= most
        else None
    )


def _known_classes(net: nn.Module, labels: int) -> tuple[int, ...]:
    found = [labels] if labels else []
    if isinstance(declared := getattr(net, "num_classes", None), int):
        found.append(declared)
    named = (m for m in reversed(list(net.modules())) if hasattr(m, "out_features"))
    last = next((w for m in named if (w := m.out_features)), None)
    return (*found, last) if isinstance(last, int) else tuple(found)


def _rank(name: str, rows: _Rows, labels: int) -> tuple[int, int]:
    last = name.rpartition(".")[2].lower()
    by_name = _SCORES.index(last) if last in _SCORES else len(_SCORES)
    return (by_name, int(rows.rows.shape[1] != labels) if labels else 0)


def _settled(net: nn.Module, found: _Rows, note: str) -> ClassScores:
    """Return the mean over frames, as logits."""
    said = [note] if note else []
    rows = found.rows.float()
    n, classes = rows.shape
    if n > 1:
        said.append(f"They are the mean over {n} {found.of}." if note else "")
        if not note:
            said = [f"Logits are the mean over {n} {found.of}."]
    sums = rows.detach().sum(-1)
    shares = (
        classes > 1 and bool((rows.detach() >= 0).all()) and bool((sums - 1).abs().max() < 1e-3)
    )
    mean = rows.mean(0)
    if shares:
        said.append("The network returns probabilities; their logarithms stand for logits.")
        return ClassScores(mean.clamp(min=1e-30).log(), " ".join(said))
    if isinstance(_last(net), nn.Sigmoid) and bool(((rows >= 0) & (rows <= 1)).all()):
        said.append("The network ends in a sigmoid: each class has a probability of its own.")
        return ClassScores(mean.clamp(1e-7, 1 - 1e-7).logit(), " ".join(said), independent=True)
    if classes == 1:
        said.append("There is one score: its probability is the sigmoid of it.")
    return ClassScores(mean, " ".join(said), independent=classes == 1)


def _last(net: nn.Module) -> nn.Module:
    """Return the module that was registered last, at any depth."""
    return list(net.modules())[-1]


def _subscript(name: str) -> str:
    return "".join(f"[{int(p)}]" if p.isdigit() else f"[{p!r}]" for p in name.split("."))


def _shown(name: str) -> str:
    return name or "the tensor"
