"""The features of any layer, by running the network once more with that layer looked at.

Nothing is kept of a capture for it: the pass is repeated under the same settings, so what is seen
is bit for bit what the captured pass computed.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nlviz.affinity.feature_map import FeatureMap
from nlviz.affinity.grid import Axis, TokenGrid
from nlviz.captures.model import Model
from nlviz.captures.outputs import Choice, chosen_of, described, parts_of
from nlviz.captures.own_input import Prepare
from nlviz.captures.placing import settings
from nlviz.captures.precision import full
from nlviz.clips.clip import Clip
from nlviz.clips.text import prompt_of
from nlviz.errors import NlvizError, UnknownBlock, did_you_mean
from nlviz.families import adapter_of_any
from nlviz.families.reading.adapter import InputSpec, features_of
from nlviz.families.reading.feature_layout import FeatureLayout, far_apart, feature_layout
from nlviz.families.reading.prepared import Prepared, place
from nlviz.families.reading.token_layout import NoLayout
from nlviz.networks.acting_hooks import acting_hooks, with_hooks
from nlviz.networks.as_written import name_as_written
from nlviz.networks.attention.watch import watched
from nlviz.networks.calls import block_and_run, run_name
from nlviz.networks.followed import NotFollowed
from nlviz.networks.layer_calls import Pick, Side, kept_of, places_of
from nlviz.networks.places import Array
from nlviz.progress import Listener, Progress

_KNOWN: weakref.WeakKeyDictionary[nn.Module, dict[Any, list[Array] | str]] = (
    weakref.WeakKeyDictionary()
)
_MOST = 32  # places of layers of one network that are remembered


def features(
    net: nn.Module | Model,
    clip: Clip,
    layer: str,
    *,
    side: Side = "output",
    part: Choice | None = None,
    input_spec: InputSpec | None = None,
    prepare: Prepare | None = None,
    progress: Listener | None = None,
) -> FeatureMap:
    """Run a network on a clip and return the features of one of its layers, laid on the clip.

    Any module of any network is a layer: a stage of a ResNet, a block of a transformer. Where its
    cells lie is followed through the network, so windows, tubelets, odd sizes and overlapping
    patches are right, and tokens without a place come apart.

    Args:
        net: the network, or a model of one.
        clip: the input.
        layer: dotted name of a module, ``layer3`` or ``blocks.7``; its end suffices where one
            module alone ends so. ``name#2`` is the second run of one that runs several times.
        side: what the layer returns, or its ``input``: what it is given.
        part: of a layer that is given or returns several tensors, which: a key, the name of a
            field or an index, dotted where it lies deeper, or a function; by default the first.
        input_spec: as in ``capture``; not with a model, which has its own.
        prepare: as in ``capture``; not with a model.
        progress: called with a sentence and a share in [0, 1].

    Raises:
        UnknownBlock: when there is no such layer; the sentence names close ones.
        NlvizError: when it does not run, or computes nothing that lies in the picture.
        OutOfMemory: when the device's memory does not suffice.

    >>> net = nn.Sequential(nn.Conv2d(3, 5, 4, stride=4), nn.ReLU())
    >>> clip = Clip.from_frames(np.zeros((2, 64, 96, 3), np.uint8))
    >>> found = features(net, clip, "1", input_spec=InputSpec(size=32, layout="frames"))
    >>> found, found.grid.stride
    (FeatureMap(1, 5 channels, 256 cells (2x8x16)), (1.0, 8.0, 6.0))
    """
    if side not in ("input", "output"):
        raise NlvizError(f"side must be 'input' or 'output' of the layer, got {side!r}")
    if isinstance(net, Model):
        if input_spec is not None or prepare is not None:
            raise NlvizError("a model knows its input; leave out input_spec= and prepare=")
        model = net
    else:
        model = Model(net, adapter=adapter_of_any(net), input_spec=input_spec, prepare=prepare)
    tell = Progress.of(progress)
    name, run = layer_named(model.net, layer)
    tell("Preparing the input", 0.0)
    clip = model.long_enough(clip)
    prepared = model.prepared(clip)
    model.check_memory(prepared)
    tell(f"Running the network for the features of {name or 'all of it'}", 0.2)
    looked_at = Look(model, prepared, name, side, part)
    with model.exclusive(clip), torch.no_grad():
        looked_at.run()
        tell("Following where its cells lie", 0.7)
        return looked_at.features(clip, run)


def layer_named(net: nn.Module, name: str) -> tuple[str, int | None]:
    """Return the full name of a layer, and which of its runs is meant.

    Raises:
        UnknownBlock: when there is no such layer, or several end like this.

    >>> layer_named(nn.Sequential(nn.Sequential(nn.ReLU()), nn.ReLU()), "0.0#2")
    ('0.0', 2)
    """
    known = [n for n, _ in net.named_modules()]
    for spelling in (name, name_as_written(name)):
        own, run = block_and_run(spelling)
        if own in known:
            return own, run
        ending = [n for n in known if n.endswith(f".{own}")] if own else []
        if len(ending) == 1:
            return ending[0], run
        if ending:
            raise UnknownBlock(
                f"a layer's name must be one module's, {name!r} ends those of "
                f"{', '.join(ending[:4])}{', …' if len(ending) > 4 else ''}"
            )
    raise UnknownBlock(f"no layer is called {name!r}{did_you_mean(name, known[1:])}")


class Look:
    """One forward pass in which a layer is looked at; the caller holds the network."""

    def __init__(
        self, model: Model, prepared: Prepared, name: str, side: Side, part: Choice | None
    ) -> None:
        self.model, self.prepared, self.name, self.side = model, prepared, name, side
        self.part = part
        self.layer = model.net.get_submodule(name)
        self.tensors: list[Tensor] = []
        self.acting: set[int] = set()
        self.several = ""

    def run(self) -> None:
        """Run the network and keep what the layer is given or returns.

        Raises:
            NlvizError: when it does not run.
        """
        net = self.model.net
        watch = watched(net, keep=()) if self.model.adapter.watches else nullcontext()
        with acting_hooks(net) as acting, watch, kept_of(self.layer, self.side, self.pick) as found:
            self.model.run(self.prepared)
        self.acting, self.tensors = acting, found
        if not found:
            raise NlvizError(
                f"a layer must be called as a module in the forward pass to have features, "
                f"{self.name} was not"
            )

    def pick(self, value: Any) -> Tensor:
        """Return the tensor among what the layer is given or returns.

        Raises:
            NlvizError: when there is none.
        """
        if self.part is not None:
            found, called = chosen_of(value, self.part)
            if isinstance(found, Tensor):
                return found
            raise NlvizError(f"part= must be a tensor, {called or 'it'} is {described(found)}")
        inside = [
            (n, x)
            for n, x in parts_of(value)
            if x.is_floating_point() and x.dim() > 1 and x.numel()
        ]
        if not inside:
            raise NlvizError(
                f"features are a tensor of numbers with axes of places and of channels, "
                f"{self.name or 'the network'} {_does(self.side)} {described(value)}"
            )
        name, first = inside[0]
        if len(inside) > 1 and self.side == "output":
            self.several = f"It returns {described(value)}: this is {name}; part= takes another."
        return first

    def features(self, clip: Clip, run: int | None) -> FeatureMap:
        """Return the features of a run, or of all that saw the parts of the clip in turn.

        Raises:
            NlvizError: when they do not lie on the picture, or there is no such run.
        """
        count = len(self.tensors)
        if prompt_of(clip) is not None:
            raise NlvizError(
                f"features of {self.name} are not read: words and the clip's tokens are one "
                "sequence there, of which no features of places are made; take the network alone "
                "that sees the clip"
            )
        if run is not None and not 1 <= run <= count:
            raise NlvizError(
                f"run {run} of {self.name} must happen, it ran {count} times; take another"
            )
        note = ""
        try:
            places = self.places(self.side, self.pick, count)
            x, layout = self._laid_out(places, run)
        except NotFollowed as error:
            return self._evenly(clip, self.tensors[(run or 1) - 1], str(error))
        except NoLayout as error:
            raise NlvizError(f"{self.name} has no features of places: {error}") from None
        if count > 1 and x.dim() == self.tensors[0].dim():
            note = f"The layer ran {count} times in this forward pass; this is run {run or 1}."
        elif count > 1:
            note = f"The layer ran {count} times, each time on another part of the clip."
        values, apart = layout.laid_out(full(x))
        grid = layout.grid(self.prepared)
        if grid.centre(grid.size - 1).frame > self.prepared.clip_shape[0] - 0.5:
            raise NlvizError(
                f"cells must lie in the clip, those of {self.name} go on beyond its last frame; "
                "give the network the frames of one clip, and no more"
            )
        told = (layout.note, note, self.several)
        return FeatureMap(
            run_name(self.called, run or 1),
            values,
            grid,
            apart,
            self._names(len(apart), grid.shape[0]),
            clip,
            " ".join(each for each in told if each),
        )

    @property
    def called(self) -> str:
        """What the features are called."""
        name = self.name or type(self.model.net).__name__
        return name if self.side == "output" else f"{name}, input"

    def places(self, side: Side, pick: Pick, count: int) -> list[Array]:
        """Return where the elements lie, found before or now.

        Raises:
            NotFollowed: when that could not be followed.
        """
        net, prepared = self.model.net, self.prepared
        known = _KNOWN.setdefault(net, {})
        given = tuple(prepared.tensor.shape), prepared.order, prepared.key
        own = (*given, settings(net), frozenset(self.acting))
        key = (
            *own,
            self.name,
            side,
            count,
            self.part if isinstance(self.part, (str, int)) else pick,
        )
        if key not in known:
            if len(known) >= _MOST:
                known.clear()
            try:
                with with_hooks(net, self.acting):
                    known[key] = places_of(
                        net,
                        lambda x: prepared.call(net, x),
                        prepared.tensor,
                        self.layer,
                        side,
                        pick,
                        calls=count,
                    )
            except NotFollowed as error:
                known[key] = str(error)
        found = known[key]
        if isinstance(found, str):
            raise NotFollowed(found)
        return found

    def _laid_out(self, places: Sequence[Array], run: int | None) -> tuple[Tensor, FeatureLayout]:
        """Return the tensor of a run, or of all runs together, and how it is laid out."""
        size = _size(self.prepared)
        alike = len({tuple(x.shape) for x in self.tensors}) == 1
        if run is None and len(places) > 1 and alike:
            together = np.stack(np.broadcast_arrays(*places))
            try:
                if far_apart(together, size):
                    x = torch.stack(self.tensors)
                    return x, feature_layout(together, tuple(x.shape), size)
            except NoLayout:
                pass
        n = (run or 1) - 1
        x, at = self.tensors[n], places[n]
        if np.isnan(at).all() and self.side == "output":
            found = self._as_it_entered(x, n, size)
            if found is not None:
                return x, found
        return x, feature_layout(at, tuple(x.shape), size)

    def _as_it_entered(self, x: Tensor, n: int, size: tuple[int, int, int]) -> FeatureLayout | None:
        """Return the layout of what entered a layer that returns sums over everywhere."""

        def same(given: Any) -> Tensor:
            return next(
                t for _, t in parts_of(given) if t.dim() == x.dim() and t.is_floating_point()
            )

        try:
            entered = self.places("input", same, len(self.tensors))[n]
        except (NotFollowed, StopIteration, RuntimeError):
            return None
        # What differs in place must be as long; channels may become others.
        long = [a if a > 1 else b for a, b in zip(entered.shape[:-1], x.shape, strict=True)]
        if np.isnan(entered).all() or tuple(long) != tuple(x.shape):
            return None
        found = feature_layout(entered, tuple(x.shape), size)
        told = f"{found.note} A cell stands where what entered the layer for it stands.".strip()
        return replace(found, note=told)

    def _evenly(self, clip: Clip, x: Tensor, why: str) -> FeatureMap:
        """Return features on an even grid, where their places could not be followed."""
        prepared = self.prepared
        t, height, width = _size(prepared)
        if x.dim() not in (4, 5) or (x.shape[0] if x.dim() == 4 else x.shape[2]) > t:
            raise NlvizError(
                f"{self.name} has no features of places: where its cells lie could not be followed "
                f"({why})"
            )
        values = full(features_of(x))
        _, h, w = values.shape[1:]
        axes = (
            Axis(n / m, (n / m - 1) / 2) for n, m in ((t, len(values[0])), (height, h), (width, w))
        )
        where = (prepared.t, prepared.y, prepared.x)
        at = [place(axis, each) for axis, each in zip(axes, where, strict=True)]
        a, b, c = values.shape[1:]
        return FeatureMap(
            self.called,
            values,
            TokenGrid.of_axes((a, b, c), at[0], at[1], at[2]),
            clip=clip,
            note=f"Where its cells lie could not be followed ({why}): they are evenly spread here.",
        )

    def _names(self, count: int, frames: int) -> tuple[str, ...]:
        """Return names of the tokens without a place, those of each frame the same."""
        names = self.model.adapter.token_names(self.model.net)
        groups = frames if count % frames == 0 and count >= frames else 1
        each = count // groups
        if names and each % len(names) and len(names) % max(each, 1):
            names = ()
        of_one = [names[i] if i < len(names) else f"token.{i}" for i in range(each)]
        return tuple(of_one) * groups


def _size(prepared: Prepared) -> tuple[int, int, int]:
    """Return frames, rows and columns of the network's input."""
    tensor = prepared.tensor
    frames = tensor.shape[2] if tensor.dim() == 5 else len(tensor)
    return int(frames), int(tensor.shape[-2]), int(tensor.shape[-1])


def _does(side: Side) -> str:
    return "returns" if side == "output" else "is given"
