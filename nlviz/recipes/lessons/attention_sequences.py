"""The networks over sequences that the lesson on self-attention runs in the browser.

Their weights go into the lesson as they are bundled, in half precision, so that a learner's text,
a head that is switched off and a branch that is left out are computed where they are looked at. How
rows spread over length is measured here, with the same networks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import torch
from safetensors.torch import load_file

from nlviz.networks.hooks import recorded
from nlviz.networks.sequence.layers import KERNELS
from nlviz.networks.sequence.tasks import KEYS, drawn, task_named
from nlviz.networks.sequence.transduction import Kind, Transduction
from nlviz.recipes.lessons.attention_part import Part, half
from nlviz.recipes.sequence_measures import attending, partners
from nlviz.recipes.sequences import answers
from nlviz.resources import asset

NETS = (
    "transformer.reverse",
    "transformer.shift",
    "transformer.sort",
    "muse.recall",
    "muse.shift",
    "muse.sort",
    "muse.reverse",
)
LENGTHS = (8, 16, 32, 64, 128, 256)
COUNT = 8  # texts of each length
SEED = 1 << 21
# The texts that the browser draws itself: to compare networks, and to take mean rows over.
TESTS = {"count": 16, "length": 12, "seed": 7}
MEANS = {"count": 64, "seed": 11}


def bundled(name: str) -> Transduction:
    """Return a bundled network over sequences, in eval mode.

    >>> bundled("muse.sort").task.name
    'sort'
    """
    kind, _, task = name.partition(".")
    net = Transduction(task_named(task).name, cast(Kind, kind)).eval()
    weights = load_file(asset(f"weights/{name}.safetensors"))
    net.load_state_dict({key: value.float() for key, value in weights.items()})
    return net


def told(net: Transduction) -> dict[str, Any]:
    """Return what the browser must know of a network beside its weights."""
    return {
        "task": net.task.name,
        "kind": net.kind,
        "symbols": "".join(net.task.symbols),
        "keys": len(KEYS) if net.task.asks else 0,
        "heads": net.size.heads,
        "encoder": net.size.encoder,
        "decoder": net.size.decoder,
        "kernels": list(KERNELS) if net.kind == "muse" else [],
    }


def over_length(net: Transduction) -> dict[str, list[float]]:
    """Return means over random texts of each length of ``LENGTHS``.

    Of each row exp(entropy) is taken, the number of keys that it spreads over as if evenly.

    Returns:
        self: of rows of the encoder's self-attention, mean over layers, heads and queries.
        cross: the same of the decoder's rows over the source.
        true: weight of these rows on the symbol that is to be written.
        right: share of the symbols that are right.
    """
    found: dict[str, list[float]] = {"self": [], "cross": [], "true": [], "right": []}
    for length in LENGTHS:
        generator = torch.Generator().manual_seed(SEED + length)
        batch = drawn(net.task, COUNT, length, generator)
        with torch.no_grad(), recorded(net, attending(net)) as calls:
            logits, wanted = answers(net, batch)
        (of_net,) = logits.values()
        rows = {
            name: (q @ k.mT * q.shape[-1] ** -0.5).softmax(-1)
            for name in attending(net)
            if name.endswith(("cross", "global")) and not name.startswith("decoder.0.global")
            for q, k in [calls[name].args[:2]]
        }
        keys = {
            name: float(torch.special.entr(row).sum(-1).exp().mean()) for name, row in rows.items()
        }
        own = [value for name, value in keys.items() if name.startswith("encoder")]
        partner = partners(net.task, length)
        assert partner is not None  # the task names a place for each symbol
        cross = rows["decoder.0.cross"][:, :, :length]
        on = cross.gather(3, partner.expand(*cross.shape[:2], -1)[..., None])
        found["self"].append(sum(own) / len(own))
        found["cross"].append(keys["decoder.0.cross"])
        found["true"].append(float(on.mean()))
        found["right"].append(float((of_net.argmax(-1) == wanted).float().mean()))
    return {name: [round(value, 4) for value in values] for name, values in found.items()}


def part() -> Part:
    """Return weights, what is known of the networks, and how rows spread over length."""
    nets: Mapping[str, Transduction] = {name: bundled(name) for name in NETS}
    length = {kind: over_length(nets[f"{kind}.reverse"]) for kind in ("transformer", "muse")}
    size = nets["transformer.reverse"].size
    return Part(
        numbers={
            "heads": size.heads,
            "head_width": size.channels // size.heads,
            "blocks": size.encoder + 2 * size.decoder,
            "all_heads": size.heads * (size.encoder + 2 * size.decoder),
            "tests": TESTS["count"],
            "mean_texts": MEANS["count"],
        },
        head={
            "sequences": {name: told(net) for name, net in nets.items()},
            "length": {"lengths": list(LENGTHS), **length},
            "tests": TESTS,
            "means": MEANS,
        },
        arrays={
            f"{name}/{key}": half(value.numpy())
            for name, net in nets.items()
            for key, value in net.state_dict().items()
        },
    )
