"""Does a network take the input that it is given? If not: what it takes, and the cure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from nlviz.captures.running import is_out_of_memory, of_types
from nlviz.errors import NlvizError, NoNonLocalBlocks
from nlviz.families.reading.prepared import Prepared
from nlviz.families.reading.report import LoadReport
from nlviz.networks.first_layer import Convolution, first_call_seen

SAMPLE = 4096  # pixels of a channel that are compared
# What errors say that an input of the wrong shape raises, in torch and in networks' own checks.
_OF_SHAPE = re.compile(
    r"size|shape|channel|dimension|dim\b|unpack|mat1|numel|number of elements|expected|match|"
    r"out of (range|bounds)|argument|positional",
    re.IGNORECASE,
)
LINEAR = 1 - 1e-4  # correlation of a channel with itself, however it was normalised
_ORDERS: dict[tuple[int, ...] | None, str] = {
    None: "(1, 3, T, H, W)",
    (0, 2, 1, 3, 4): "(1, T, 3, H, W)",
}


def check_attends(name: str, report: LoadReport | None, blocks: tuple[str, ...]) -> None:
    """Refuse a network of which its own file of weights says that nothing in it attends.

    Args:
        name: of the network.
        report: of the file; None where there is none.
        blocks: that the network itself shows.

    Raises:
        NoNonLocalBlocks: the sentence says what the network is, and what it still gives.
    """
    if report is None or report.blocks or not report.architecture or blocks:
        return
    raise NoNonLocalBlocks(
        f"{name} is a {report.architecture}; it answers, see nlviz.Model.logits, and has "
        "features, but no row to show"
    )


@contextmanager
def checked_input(net: nn.Module, prepared: Prepared, *, own: bool) -> Iterator[None]:
    """Refuse an input that a network does not take, at its first convolution where that shows it.

    Args:
        net: the network that runs.
        prepared: its input.
        own: whether a function of the user's made it.

    Raises:
        NlvizError: when channels or frames are not where the network expects them, or the network
            raised an error over its input, which stays the cause.
    """

    def see(name: str, conv: Convolution, x: Tensor) -> None:
        axes = conv.weight.dim() - 2
        if x.dim() <= axes:
            return  # torch says so
        wants, got = conv.in_channels, x.shape[-axes - 1]
        where = f"the network's first convolution{f', {name},' if name else ''}"
        if got != wants:
            raise NlvizError(
                f"{where} takes {_channels(wants)}, it was given {got}"
                f"{_cure(prepared, wants, got, own)}"
            )
        if not own and _colours_for_frames(x, prepared.tensor):
            other = "clip" if prepared.order else "frames first"
            raise NlvizError(
                f"{where} was given the clip's frames for its channels; say "
                f"InputSpec(layout={other!r})"
            )

    try:
        with first_call_seen(net, see):
            yield
    except (NlvizError, torch.OutOfMemoryError):
        raise
    except (RuntimeError, ValueError, TypeError, LookupError, AssertionError) as error:
        if is_out_of_memory(error) or of_types(error) or not _of_shape(error):
            raise
        first = (str(error).strip().splitlines() or [""])[0][:300]
        raise NlvizError(
            f"{type(net).__name__} must take the input that it is given, {_given(prepared)}; it "
            f"raised {type(error).__name__}: {first}; say what it takes with input_spec= (layout, "
            "channels, size), or make it with prepare="
        ) from error


def _of_shape(error: Exception) -> bool:
    """Check whether an error may be about the shape of an input.

    >>> _of_shape(KeyError(4)), _of_shape(KeyError("weights"))  # einops knows recipes by their axes
    (True, False)
    """
    if isinstance(error, KeyError):
        return bool(error.args) and isinstance(error.args[0], int)
    return bool(_OF_SHAPE.search(str(error)))


def _channels(n: int) -> str:
    return f"{n} channel{'' if n == 1 else 's'}"


def _cure(prepared: Prepared, wants: int, got: int, own: bool) -> str:
    tensor = prepared.tensor
    if own:
        return f"; prepare= made a picture of {tuple(tensor.shape)}, let it make what is taken"
    frames, colours = prepared.clip_shape[0], tensor.shape[1]
    if tensor.dim() == 5 and wants == colours and got == frames:
        other = "clip" if prepared.order else "frames first"
        return (
            f", the clip's frames, of an input {_ORDERS[prepared.order]}; say "
            f"InputSpec(layout={other!r})"
        )
    if wants in (1, 3) and got == colours:
        return f"; say InputSpec(channels={'grey' if wants == 1 else 'rgb'!r})"
    told = {1: " of luminance", 3: " of colour"}.get(colours, "") if got == colours else ""
    return f"{told}; make its input with prepare=, a function of the clip"


def _given(prepared: Prepared) -> str:
    own = prepared.tensor
    shape = own.shape if prepared.order is None else [own.shape[d] for d in prepared.order]
    text = f"a tensor {tuple(shape)}"
    return text if prepared.alone else f"{text} and more"


def _colours_for_frames(x: Tensor, tensor: Tensor) -> bool:
    """Return whether frames stand where colours belong, where there are as many of both.

    Args:
        x: what enters the first convolution, (T, C, H, W) or (1, C, T, H, W).
        tensor: the picture, (T, C, H, W) or (1, C, T, H, W).
    """
    seen, given = (_by_frame(t) for t in (x, tensor))
    if seen is None or given is None or seen.shape != given.shape or len(seen) != seen.shape[1]:
        return False
    if len(seen) == 1:
        return False

    def like(wanted: Tensor) -> bool:
        pairs = zip(seen.flatten(0, 1), wanted.flatten(0, 1), strict=True)
        return all(_correlation(a, b) > LINEAR for a, b in pairs)

    return like(given.transpose(0, 1)) and not like(given)


def _by_frame(x: Tensor) -> Tensor | None:
    if x.dim() == 5:
        return x[0].transpose(0, 1) if len(x) == 1 else None
    return x if x.dim() == 4 else None


def _correlation(a: Tensor, b: Tensor) -> float:
    a, b = (t.detach().flatten()[:: max(t.numel() // SAMPLE, 1)].double().cpu() for t in (a, b))
    a, b = a - a.mean(), b - b.mean()
    return float((a * b).sum() / (a.norm() * b.norm()).clamp(min=1e-30))
