"""Non-local blocks of dimension 1 over sequences of symbols, ``networks.sequence.non_local_1d``."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import cast

import torch
from torch import Tensor, nn

from nlviz.affinity.grid import TokenGrid
from nlviz.affinity.pairwise import OF_BLOCKS
from nlviz.affinity.token_line import TokenLine
from nlviz.clips.clip import Clip
from nlviz.errors import NlvizError
from nlviz.families.family import Family, TableRow
from nlviz.families.reading.adapter import InputKind, InputSpec, Prepared
from nlviz.families.reading.card import NON_LOCAL
from nlviz.families.reading.checkpoint import Checkpoint
from nlviz.families.reading.flags import Flags
from nlviz.families.reading.layout import Block, Reading
from nlviz.families.reading.own_blocks import OwnBlockAdapter
from nlviz.families.reading.prepared_text import prepared_text
from nlviz.families.reading.symbol_lines import read_symbols, symbol_card
from nlviz.networks.block import NonLocalBlock
from nlviz.networks.hooks import Call
from nlviz.networks.sequence.non_local_1d import NonLocal1d, Tower, TowerSize
from nlviz.networks.sequence.tasks import BLANK, TASKS, TaskName


class NonLocal1dAdapter(OwnBlockAdapter):
    """Reads the blocks of all four towers: ``gaussian.0``, ``embedded_gaussian.0`` and so on."""

    scores_of = "place"
    traces = False  # every symbol of the line is a cell

    def blocks(self, net: nn.Module) -> dict[str, NonLocalBlock]:
        """Return the blocks by the pairwise function of their tower and their number."""
        if not isinstance(net, NonLocal1d):
            return {}
        return {
            f"{name}.{i}": cast(NonLocalBlock, block)
            for name, tower in net.towers.items()
            for i, block in enumerate(cast(Tower, tower).blocks)
        }

    def inputs(self, net: nn.Module) -> tuple[InputKind, ...]:
        """Return that it takes a text."""
        return ("text",)

    def prepare(self, net: nn.Module, clip: Clip, spec: InputSpec | None) -> Prepared:
        """Return the line of a text: its source, the separator, and what asks for each symbol.

        That is a blank for each symbol of the target; of recall the letters that are asked for,
        which the text may have behind a separator.
        """
        net = cast(NonLocal1d, net)
        task = net.task
        symbols = read_symbols(task, clip)
        if symbols.given and not task.asks:
            raise NlvizError(
                "this network writes all symbols at once; leave out what stands behind the "
                "separator"
            )
        behind = symbols.asked if task.asks else (BLANK,) * len(symbols.source)
        asked = task.ids(behind) if task.asks else [task.blank] * len(behind)
        line = torch.tensor([[*task.ids(symbols.source), task.separator, *asked]])
        with torch.no_grad():
            found = net.by_pairwise(line.to(next(net.parameters()).device))
        notes = [
            symbols.judged(f"The tower {name}", [task.tokens[i] for i in x[0].argmax(-1).tolist()])
            for name, x in found.items()
        ]
        return prepared_text(symbols.line(behind), (line,), notes=(*notes, *symbols.notes))

    def queries(
        self, name: str, block: NonLocalBlock, calls: Mapping[str, Call], prepared: Prepared
    ) -> TokenGrid:
        """Return the whole line."""
        assert prepared.text is not None
        return TokenLine.part_of(prepared.text)

    def features(self, name: str, block: NonLocalBlock, calls: Mapping[str, Call]) -> Tensor:
        """Return what entered the block, (channels, 1, 1, symbols)."""
        return cast(Tensor, calls[name].args[0])[0][:, None, None]


_SIGNS = ("symbols.weight", "places.weight", "towers.gaussian.blocks.0.g.weight")


class NonLocal1dLayout:
    """Keys are those of ``networks.sequence.non_local_1d``."""

    flags: Mapping[str, str] = MappingProxyType(
        {"task": "whose alphabet it reads: " + ", ".join(TASKS)}
    )

    def recognise(self, checkpoint: Checkpoint) -> str | None:
        """Return by what the file was recognised, or None."""
        if all(sign in checkpoint.tensors for sign in _SIGNS):
            return "four towers of non-local blocks over symbols"
        return None

    def read(self, checkpoint: Checkpoint, overrides: Mapping[str, object]) -> Reading:
        """Return how the file becomes a network; every name stays."""
        tensors = checkpoint.tensors
        flags = Flags(overrides, known=self.flags)
        told = "task" in checkpoint.meta
        found = str(checkpoint.meta.get("task", "copy"))
        task = cast(
            TaskName, flags.choice("task", found, "config" if told else "preset", choices=TASKS)
        )
        first = "towers.gaussian."
        count = len({k.split(".")[3] for k in tensors if k.startswith(f"{first}blocks.")})
        size = TowerSize(
            channels=tensors["symbols.weight"].shape[1],
            embedded=tensors[f"{first}blocks.0.g.weight"].shape[0],
            blocks=count,
            inner=tensors[f"{first}behind.0.1.weight"].shape[0],
        )
        return Reading(
            architecture=f"{len(OF_BLOCKS)} towers of {count} non-local blocks of dimension 1",
            build=lambda: NonLocal1d(task, size),
            names={key: key for key in tensors},
            blocks=tuple(
                Block(f"{name}.{i}", size.channels, size.embedded, name)
                for name in OF_BLOCKS
                for i in range(count)
            ),
            flags=flags.found,
            input_spec=InputSpec(),
            input_note="a text; each character is a symbol: " + " ".join(TASKS[task].symbols),
            trained_for=f"trained to write {TASKS[task].said}",
        )


FAMILY = Family(
    name="non-local-1d",
    row=TableRow(
        source="`nlviz.networks.sequence`",
        networks="towers of one f each, for each task",
        live="the same networks",
        recognised_by="`symbols`, `places`, `towers.gaussian.blocks`",
        not_told="the task (in the file's metadata)",
        parity="rows",
    ),
    blocks=NonLocal1dAdapter(),
    checkpoint=NonLocal1dLayout(),
    needs="nlviz.networks.sequence.non_local_1d",
    cards=tuple(symbol_card("non-local-1d", "non-local-1d", NON_LOCAL, task) for task in TASKS),
)
