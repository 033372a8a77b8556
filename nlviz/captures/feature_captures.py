"""Captures with features: what entered a block, or any layer whose similarity is its affinity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import MappingProxyType

from nlviz.affinity.variants import COSINE
from nlviz.affinity.variants import FEATURES as RAW
from nlviz.captures.capture import Affinities, Capture
from nlviz.captures.layer_features import features, layer_named
from nlviz.captures.model import Model
from nlviz.clips.clip import Clip
from nlviz.errors import NlvizError
from nlviz.networks.attention.watch import PART
from nlviz.networks.calls import block_and_run, run_name
from nlviz.networks.layer_calls import Side
from nlviz.progress import Listener, Progress

FEATURES, FEATURES_MINUS_MEAN = "features", "features minus mean"  # at the end of a block's name
OF_FEATURES = (RAW.key, COSINE.key)  # variants that need what enters a block


def feature_capture(
    model: Model,
    clip: Clip,
    layers: Sequence[str],
    *,
    side: Side = "output",
    minus_mean: bool = False,
    progress: Listener | None = None,
) -> Capture:
    """Return a capture whose affinities are the cosines of the features of some layers.

    It is shown, saved and opened as any other; its blocks are called ``layer3, features``.

    Args:
        model: the network; it needs no block of any family.
        clip: the input.
        layers: as in ``features``.
        side: as in ``features``.
        minus_mean: as in ``FeatureMap.cosine``.
        progress: called with a sentence and a share in [0, 1].

    Raises:
        UnknownBlock: when there is no such layer.
        NlvizError: when one does not run, or computes nothing that lies in the picture.

    >>> import nlviz
    >>> from nlviz.resources import asset
    >>> clip = nlviz.read_clip(asset("photos/coffee.jpg"), size=128)
    >>> feature_capture(nlviz.load_model("lite-nl"), clip, ["backbone.blocks.2"]).affinities
    Affinity(backbone.blocks.2, features, cosine, 1176 queries (1x28x42) x 1176 keys)
    """
    tell = Progress.of(progress)
    found = [
        features(
            model,
            clip,
            layer,
            side=side,
            progress=tell.part(n / len(layers), (n + 1) / len(layers)),
        )
        for n, layer in enumerate(layers)
    ]
    modules = dict(model.net.named_modules())
    names = [f"{each.name}, {FEATURES_MINUS_MEAN if minus_mean else FEATURES}" for each in found]
    affinities = [
        replace(each.cosine(minus_mean=minus_mean), name=name)
        for each, name in zip(found, names, strict=True)
    ]
    shown = found[0].clip if found else clip
    assert shown is not None  # they were computed on one
    return Capture(
        clip=shown,
        logits=None,
        affinities=Affinities(dict(zip(names, affinities, strict=True))),
        features=MappingProxyType(
            {name: each.values for name, each in zip(names, found, strict=True)}
        ),
        blocks=MappingProxyType(
            {
                name: modules[layer_named(model.net, layer)[0]]
                for name, layer in zip(names, layers, strict=True)
            }
        ),
        about=replace(model.about, device=str(model.device)),
    )


def capture_for(
    model: Model,
    clip: Clip,
    block: str,
    source: str,
    *,
    text: str | None = None,
    progress: Listener | None = None,
) -> Capture:
    """Return the capture in which a view's block and source are.

    Args:
        model: the network.
        clip: the input.
        block: name of a block, or of a layer in a capture of features.
        source: key of the variant that is shown of it.
        text: what the network is told beside the clip, where it takes a text there.
        progress: called with a sentence and a share in [0, 1].

    Raises:
        NlvizError: whatever ``feature_capture`` and ``Model.capture`` raise.
    """
    layer, *more = block.split(", ")
    if more and more[-1] in (FEATURES, FEATURES_MINUS_MEAN):
        side: Side = "input" if "input" in more else "output"
        minus = more[-1] == FEATURES_MINUS_MEAN
        return feature_capture(model, clip, [layer], side=side, minus_mean=minus, progress=progress)
    tell = Progress.of(progress)
    capture = model.capture(clip, text=text, progress=tell.part(0.0, 0.7))
    if source in OF_FEATURES and block in capture.affinities:
        capture = with_features(model, capture, [block], progress=tell.part(0.7, 1.0))
    return capture


def with_features(
    model: Model, capture: Capture, blocks: Sequence[str], *, progress: Listener | None = None
) -> Capture:
    """Return a capture with what entered some of its blocks, for which the network runs again.

    Blocks whose features are there already, or whose queries lie on another grid than what entered
    them, cost or change nothing.

    Args:
        model: that the capture was made with.
        capture: the capture.
        blocks: names of blocks.
        progress: called with a sentence and a share in [0, 1].

    Raises:
        UnknownBlock: when there is no such block.
        NlvizError: when what entered a block does not lie on the picture.
    """
    found = dict(capture.features)
    tell = Progress.of(progress)
    for n, block in enumerate(blocks):
        affinity = capture.affinities[block]
        if block in found:
            continue
        entered = features(
            model,
            capture.clip,
            _module_of(model, capture, block),
            side="input",
            progress=tell.part(n / len(blocks), (n + 1) / len(blocks)),
        )
        if entered.grid.shape != affinity.queries.shape:
            raise NlvizError(
                f"features of {block} must lie where its queries lie, on "
                f"{' x '.join(map(str, affinity.queries.shape))} cells; what enters it has "
                f"{' x '.join(map(str, entered.grid.shape))}: take the layer before it by its name"
            )
        found[block] = entered.values
    return replace(capture, features=MappingProxyType(found))


def _module_of(model: Model, capture: Capture, block: str) -> str:
    """Return the name of the module that computes a block, and of its run.

    A family may call a block by another name than its module has in the network.
    """
    own, run = block_and_run(block.partition(PART)[0])
    module = capture.blocks.get(block)
    name = next((n for n, m in model.net.named_modules() if m is module), own)
    return run_name(name, run or 1)
