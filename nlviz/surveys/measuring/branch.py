"""The size of what each block adds to its input, |z - x| / |x|, seen in the pass itself.

The adapter names the modules where it is seen, as for ``nlviz.block_health``; of attention whose
place in the network is not known, no module shows it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from nlviz.captures.capture import Capture
from nlviz.captures.model import Model
from nlviz.families.reading.adapter import Branch
from nlviz.networks.calls import arguments, block_and_run, in_backward, run_name


@dataclass(eq=False)
class _Seen:
    """What one block is given and adds, call by call.

    Attributes:
        branch: where it is seen.
        inputs: of each call, until what it adds is seen; None afterwards, or where it is no tensor.
        sizes: squares of |added| and |x| of each call; None where they cannot be told.
    """

    branch: Branch
    owner: int = field(default_factory=threading.get_ident)
    inputs: list[Tensor | None] = field(default_factory=list)
    sizes: list[tuple[float, float] | None] = field(default_factory=list)

    def _ours(self) -> bool:
        return threading.get_ident() == self.owner and not in_backward()

    def enter(self, module: nn.Module, args: Any, given: Any) -> None:
        if self._ours():
            taken = arguments(module, args, given)
            x = taken[0] if taken else None
            self.inputs.append(x.detach().clone() if isinstance(x, Tensor) else None)

    def leave(self, module: nn.Module, args: Any, given: Any, output: Any) -> None:
        number = len(self.sizes)
        if not self._ours() or number >= len(self.inputs):
            return
        x, self.inputs[number] = self.inputs[number], None
        self.sizes.append(None)
        with_input = self.branch.with_input
        if x is None or not isinstance(output, Tensor):
            return
        if with_input and output.shape != x.shape:
            return
        added = output.detach().float() - x.float() if with_input else output.detach().float()
        self.sizes[number] = float(added.norm()) ** 2, float(x.float().norm()) ** 2


@dataclass(eq=False)
class Branches:
    """Watches the blocks of a network while a pass runs.

    >>> import nlviz
    >>> from nlviz.resources import asset
    >>> model = nlviz.load_model("lite-nl")
    >>> clip = nlviz.read_clip(asset("photos/coffee.jpg"), size=64)
    >>> branches = Branches(model)
    >>> capture = model.capture(clip, during=branches.watching)
    >>> 0 < branches.size(capture, "stage4") < 1
    True
    """

    model: Model
    _seen: dict[str, _Seen] = field(default_factory=dict)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Return a context around a pass; whatever ends it, nothing is left in the network."""
        self._seen = {}
        with ExitStack() as stack:
            for name in self.model.blocks:
                branch = self.model.adapter.branch(self.model.net, name)
                if branch is None:
                    continue
                seen = self._seen[name] = _Seen(branch)
                for handle in (
                    branch.whole.register_forward_pre_hook(seen.enter, with_kwargs=True),
                    branch.added.register_forward_hook(seen.leave, with_kwargs=True),
                ):
                    stack.callback(handle.remove)
            yield

    def size(self, capture: Capture, block: str) -> float | None:
        """Return |added| / |x| of a block over all tokens; None where it was not seen.

        Args:
            capture: of the pass that was watched.
            block: its name, or that of one of its runs.
        """
        module, run = block_and_run(block)
        seen = self._seen.get(module)
        sizes = [] if seen is None else seen.sizes
        names = {*capture.affinities, *capture.refused}
        if run is not None or run_name(block, 2) in names:
            number = (run or 1) - 1
            sizes = sizes[number : number + 1]
        if not sizes or None in sizes:
            return None
        added, whole = (sum(part) for part in zip(*filter(None, sizes), strict=True))
        return float((added / whole) ** 0.5) if whole > 0 else None
