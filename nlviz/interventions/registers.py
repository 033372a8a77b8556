"""A register at test time: one more, empty token that takes what makes a few tokens very long.

Jiang, Dravid, Efros and Gandelsman 2025, "Vision Transformers Don't Need Trained Registers"
(arXiv 2506.08010): a few neurons of the layers' perceptrons are active at outlier tokens and there
alone. At each of them the activation of largest size over all tokens is moved to a token that was
added, and is 0 everywhere else; the token is dropped behind the last layer.

Here a neuron is an input channel of the last linear map of a layer that leads back to the width of
its tokens, behind the activation function. Which tokens are outliers is not a threshold's business:
the longest few of each picture are taken, and by how much neurons are more active there is told.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nlviz.affinity.base import Affinity
from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.captures.model import Model
from nlviz.captures.token_norms import layers_of
from nlviz.clips.clip import Clip
from nlviz.errors import NlvizError
from nlviz.interventions.change import PassChange
from nlviz.networks.attention.watch import watched
from nlviz.networks.followed import Placed
from nlviz.networks.hooks import recorded
from nlviz.progress import Listener, Progress
from nlviz.sentences import counted

NEURONS, TOKENS = 10, 4  # that are moved, of all layers; the longest of each picture
REGISTER = "test-time register"  # what the token is called
OFF = 1e-3  # by how much q and k of other tokens may differ where a token is added


@dataclass(frozen=True)
class Neuron:
    """A neuron of a layer's perceptron.

    Attributes:
        layer: name of the linear map that it is an input of.
        number: of its channel.
        at: mean size of its activation at the longest tokens.
        elsewhere: the same at all others.
    """

    layer: str
    number: int
    at: float
    elsewhere: float


@dataclass(frozen=True)
class TestTimeRegister(PassChange):
    """An empty token is added, and takes the activations of some neurons.

    Attributes:
        block: name of the first layer that it passes.
        last: name of the last one, behind which it is dropped.
        place: number of tokens before it.
        neurons: whose activations are moved to it.
    """

    __test__: ClassVar[bool] = False  # no test, whatever its name begins with
    around: ClassVar[bool] = True

    block: str
    last: str
    place: int
    neurons: tuple[Neuron, ...]

    @property
    def said(self) -> str:
        """What is changed, as a clause."""
        moved = counted(len(self.neurons), "neuron")
        return f"an empty token takes the activations of {moved}" if self.neurons else (
            "an empty token is added"
        )  # fmt: skip

    def acting(self, model: Model) -> AbstractContextManager[None]:
        """Return a context in which the token is there; the caller holds the network."""
        return _added(model.net, self)

    def named(self, before: Affinity, after: Affinity) -> Affinity:
        """Return an affinity of a pass with the token, which has a name of its own there."""
        more = after.queries.prefix - before.queries.prefix
        groups = before.queries.shape[0] if more == before.queries.shape[0] else 1
        known = before.token_names or ("",) * before.queries.prefix
        if more != groups or len(known) % groups or not isinstance(after, EmbeddedAffinity):
            return after
        each = len(known) // groups
        names: list[str] = []
        for g in range(groups):
            own = list(known[g * each : (g + 1) * each])
            own.insert(min(self.place, each), REGISTER)
            names += own
        return replace(after, token_names=tuple(names))


def register_neurons(
    model: Model,
    clip: Clip,
    *,
    neurons: int = NEURONS,
    tokens: int = TOKENS,
    progress: Listener | None = None,
) -> TestTimeRegister:
    """Find the neurons that are most active at the longest tokens, to be moved to a register.

    Two forward passes, and two more to check that a token can be added without moving others.

    Args:
        model: a network whose layers pass tokens on as (batch, tokens, channels).
        clip: on which tokens are looked at.
        neurons: how many, of all layers up to the one whose tokens are longest.
        tokens: how many of the longest tokens of each picture of the batch.
        progress: called with a sentence and a share in [0, 1]; what it raises stops the work.

    Raises:
        NlvizError: when its layers pass on something else, or take no token more.
        OutOfMemory: when the device's memory does not suffice.

    >>> import timm
    >>> net = timm.create_model("test_vit").eval()
    >>> clip = Clip.from_frames(torch.randint(0, 256, (1, 160, 160, 3), dtype=torch.uint8).numpy())
    >>> register_neurons(Model(net), clip, neurons=3).said
    'an empty token takes the activations of 3 neurons'
    """
    tell = Progress.of(progress)
    tell("Looking at what layers return", 0.0)
    clip = model.long_enough(clip)
    prepared = model.prepared(clip)
    model.check_memory(prepared)
    net = model.net
    names = layers_of(model)
    modules = dict(net.named_modules())
    with model.exclusive(clip), torch.no_grad():
        with recorded(net, {name: modules[name] for name in names}) as calls:
            model.run(prepared)
        layers = _in_one_line(names, {n: _tokens(c.output) for n in names for c in calls.runs(n)})
        norms = {name: _tokens(calls.runs(name)[0].output).norm(dim=-1) for name in layers}
        apart = _apart(model)  # a class token is long in most networks
        longest = max(layers, key=lambda n: _largest(norms[n][:, apart:]))
        used = layers[: layers.index(longest) + 1]
        maps = {name: _last_map(modules[name], norms, calls, name) for name in used}
        inside = {f"{n}.{m}": modules[f"{n}.{m}"] for n, m in maps.items() if m}
        if not inside:
            raise NlvizError(
                f"a register takes neurons of a perceptron, {used[0]} has no linear map that leads "
                "back to the width of its tokens from a greater one"
            )
        tell("Looking at its neurons", 0.3)
        with recorded(net, inside, outputs=False) as active:
            model.run(prepared)
        found = _most_active(active, inside, norms[longest], apart, tokens, neurons)
        tell("Adding an empty token", 0.6)
        place = _place(model, prepared, layers, [apart, norms[longest].shape[1]])
    return TestTimeRegister(layers[0], layers[-1], place, found)


def _tokens(output: Any) -> Tensor:
    """Return the tokens in what a layer returns: a tensor, or the first of a tuple."""
    found = output[0] if isinstance(output, (tuple, list)) and output else output
    return found if isinstance(found, Tensor) else torch.zeros(0)


def _in_one_line(names: Sequence[str], of: dict[str, Tensor]) -> list[str]:
    """Return the layers, one after another, that pass on tokens of one shape.

    Raises:
        NlvizError: when there are none.
    """
    shapes = [tuple(of[n].shape) if n in of else () for n in names]
    first = next((s for s in shapes if len(s) == 3 and s[1] > 1), None)
    if first is None:
        raise NlvizError(
            "a register is one more token, so that layers must pass on (batch, tokens, channels); "
            f"{names[0] if names else 'this network'} returns {shapes[0] if shapes else 'none'}"
        )
    begin = shapes.index(first)
    end = begin
    while end < len(shapes) and shapes[end] == first:
        end += 1
    return list(names[begin:end])


def _last_map(layer: nn.Module, norms: dict[str, Tensor], calls: Any, name: str) -> str:
    """Return the name of the map that leads back to a layer's width from a greater one, or ''."""
    width = _tokens(calls.runs(name)[0].output).shape[-1]
    found = [
        n
        for n, m in layer.named_modules()
        if isinstance(m, nn.Linear) and m.out_features == width < m.in_features
    ]
    return found[-1] if found else ""


def _largest(norms: Float[Tensor, "batch tokens"]) -> float:
    """Return the largest norm over the median."""
    return float(norms.max() / norms.median().clamp(min=1e-30))


def _most_active(
    calls: Any,
    inside: dict[str, nn.Module],
    norms: Float[Tensor, "batch tokens"],
    apart: int,
    tokens: int,
    count: int,
) -> tuple[Neuron, ...]:
    """Return the neurons whose mean activation at the longest tokens is of largest size.

    The first ``apart`` tokens, which have no place, are none of the longest.
    """
    long = torch.zeros_like(norms, dtype=torch.bool)
    placed = norms[:, apart:]
    long.scatter_(1, placed.topk(min(tokens, placed.shape[1] - 1), 1).indices + apart, True)
    every: list[Neuron] = []
    for name in inside:
        runs = calls.runs(name)
        x = runs[0].args[0].float() if runs else torch.zeros(0)
        if x.shape[:-1] != norms.shape:
            continue
        at, elsewhere = x[long].abs().mean(0), x[~long].abs().mean(0)
        best = at.topk(min(count, len(at)))
        every += [
            Neuron(name, int(i), float(v), float(elsewhere[i]))
            for v, i in zip(best.values, best.indices, strict=True)
        ]
    return tuple(sorted(every, key=lambda n: -n.at)[:count])


def _apart(model: Model) -> int:
    """Return how many tokens without a place stand first, by what the family knows."""
    return len(model.adapter.token_names(model.net))


def _place(model: Model, prepared: Any, layers: Sequence[str], places: Sequence[int]) -> int:
    """Return where a token can be added such that all others stay what they are.

    Queries and keys of the first layer are compared: what tells tokens where they are, rotary
    position embeddings for instance, must not take one for another.

    Raises:
        NlvizError: when there is no such place.
    """
    net, why = model.net, "its attention is not seen"
    keep = {n for n, _ in net.named_modules() if f"{n}.".startswith(f"{layers[0]}.")}

    def products() -> list[tuple[Tensor, Tensor]]:
        with watched(net, keep=keep) as watch:
            model.run(prepared)
        return [(p.q, p.k) for p in watch.seen.products if p.q is not None and p.k is not None]

    before = products()
    for place in dict.fromkeys(places):
        bare = TestTimeRegister(layers[0], layers[-1], place, ())
        try:
            with bare.acting(model):
                after = products()
        except Exception as error:  # any network, any complaint about a token more
            said = str(error).partition("it raised ")[2].partition("; say what")[0] or str(error)
            why = f"it stops with {' '.join(said.split())[:120]}"
            continue
        if before and len(after) == len(before) and _same(before, after, place):
            return place
        why = "its positions would move by one" if before else why
    raise NlvizError(
        f"a register is one more token, and {type(net).__name__} takes none more: {why}"
    )


def _same(
    before: Sequence[tuple[Tensor, Tensor]], after: Sequence[tuple[Tensor, Tensor]], place: int
) -> bool:
    """Return whether queries and keys are those of before, one token more aside."""
    for old, new in zip(before, after, strict=True):
        for x, y in zip(old, new, strict=True):
            if y.shape[1] != x.shape[1] + 1:
                return False
            rest = torch.cat([y[:, :place], y[:, place + 1 :]], 1).float()
            if float((rest - x.float()).abs().max()) > OFF * float(x.float().abs().max()):
                return False
    return True


@contextmanager
def _added(net: nn.Module, register: TestTimeRegister) -> Iterator[None]:
    """Add the token in this thread's passes while the ``with`` block runs."""
    owner, place = threading.get_ident(), register.place

    def ours() -> bool:
        return threading.get_ident() == owner

    def enter(module: nn.Module, args: Any, given: Any) -> Any:
        if not ours():
            return None
        if args:
            return (_with(args[0], place), *args[1:]), given
        name = next(iter(given))
        return args, {**given, name: _with(given[name], place)}

    def leave(module: nn.Module, args: Any, output: Any) -> Any:
        if not ours():
            return None
        if isinstance(output, (tuple, list)):
            return type(output)((_without(output[0], place), *output[1:]))
        return _without(output, place)

    def moved(numbers: list[int]) -> Any:
        def hook(module: nn.Module, args: Any) -> Any:
            if not ours() or isinstance(args[0], Placed):  # where tokens lie does not change
                return None
            return (_moved(args[0], numbers, place), *args[1:])

        return hook

    with ExitStack() as stack:
        first, last = (net.get_submodule(n) for n in (register.block, register.last))
        handle = first.register_forward_pre_hook(enter, with_kwargs=True)
        stack.callback(handle.remove)
        handle = last.register_forward_hook(leave)
        stack.callback(handle.remove)
        for name in dict.fromkeys(n.layer for n in register.neurons):
            own = [n.number for n in register.neurons if n.layer == name]
            handle = net.get_submodule(name).register_forward_pre_hook(moved(own))
            stack.callback(handle.remove)
        yield


def _with(x: Tensor, place: int) -> Tensor:
    empty = x.new_zeros(len(x), 1, x.shape[2])
    return torch.cat([x[:, :place], empty, x[:, place:]], 1)


def _without(x: Tensor, place: int) -> Tensor:
    return torch.cat([x[:, :place], x[:, place + 1 :]], 1)


def _moved(
    x: Float[Tensor, "batch tokens hidden"], numbers: list[int], place: int
) -> Float[Tensor, "batch tokens hidden"]:
    """Return activations with those of some neurons moved to one token.

    >>> x = torch.tensor([[[1.0, 5.0], [-3.0, 6.0], [0.0, 0.0]]])
    >>> _moved(x, [0], 2)
    tensor([[[ 0.,  5.],
             [ 0.,  6.],
             [-3.,  0.]]])
    """
    own = x[..., numbers]
    at = own.abs().argmax(1, keepdim=True)
    found = x.clone()
    found[..., numbers] = 0
    found[:, place, numbers] = own.gather(1, at)[:, 0]
    return found
