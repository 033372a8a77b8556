"""Values of a block: kept by some captures, seen in one more pass of others."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from nlviz.captures.capture import Capture
from nlviz.errors import NlvizError
from nlviz.interventions.editing import editors_of
from nlviz.interventions.editor import BlockEditor, Look
from nlviz.interventions.rerun import Rerun
from nlviz.networks.attention.running import RunningProduct


@dataclass(eq=False)
class _Values(BlockEditor):
    """Keeps the values of a block as they pass by."""

    values: Tensor | None = None

    def edit(self, product: RunningProduct) -> None:
        site = self._begun(product)
        size = self.affinity.keys.size + self.affinity.keys.prefix
        for group in site.of(product.number, product.turn):
            own = product.values(group.entries).float().cpu()
            if self.values is None:
                self.values = own.new_zeros(len(group.entries), size, own.shape[-1])
            held = group.keys >= 0
            self.values[:, group.keys[held]] = own[:, held]


def values_of(
    capture: Capture, blocks: str | list[str], *, rerun: Rerun | None = None
) -> dict[str, Float[Tensor, "heads all_keys dv"]]:
    """Return the values of blocks, keys without a place first; one pass for all that lack them.

    A key that several groups of queries look at has the value of one of them, which is the same
    one in all networks that are known.

    Args:
        capture: of the clip.
        blocks: their names.
        rerun: runs the pass again; one is made where there is none.

    Raises:
        UnknownBlock: when there is no such block.
        NlvizError: when values are not kept and the network is not there to run again, or they are
            not seen.

    >>> import nlviz
    >>> from nlviz.resources import asset
    >>> clip = nlviz.read_clip(asset("photos/coffee.jpg"), size=64)
    >>> capture = nlviz.load_model("lite-nl").capture(clip)
    >>> values_of(capture, "stage4")["stage4"].shape
    torch.Size([1, 294, 112])
    """
    names = [blocks] if isinstance(blocks, str) else list(blocks)
    found: dict[str, Tensor] = {}
    for name in names:
        held = getattr(capture.affinities[name], "values", None)
        if isinstance(held, Tensor):
            found[name] = held.float().cpu()
    missing = [name for name in names if name not in found]
    if not missing:
        return found
    again = rerun or Rerun(capture)
    looks = [Look(name, (0,)) for name in missing]
    seen = {
        name: _Values(e.affinity, (), e.site)
        for name, e in editors_of(capture, again.model, looks).items()
    }
    again.watch(looks, seen)
    for name, editor in seen.items():
        if editor.values is None:
            raise NlvizError(f"the values of {name} were not seen in this pass")
        found[name] = editor.values
    return found


def value_norms(
    capture: Capture, block: str, *, rerun: Rerun | None = None
) -> Float[Tensor, "heads all_keys"]:
    """Return the length of the value of each key, in each head."""
    norms: Tensor = torch.linalg.vector_norm(values_of(capture, block, rerun=rerun)[block], dim=-1)
    return norms
