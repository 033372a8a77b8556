"""Reports of networks that are in memory already, in the form of those of files."""

from __future__ import annotations

from nlviz.captures.model import Model
from nlviz.families import family_of
from nlviz.families.reading.layout import Block
from nlviz.families.reading.report import IN_MEMORY, LoadReport
from nlviz.networks.block import NonLocalBlock
from nlviz.zoo.positions import positions_of


def live_report(model: Model, name: str) -> LoadReport:
    """Report which blocks a network has; its tensors were not read from a file by nlviz.

    Args:
        model: the network.
        name: what the user calls it.

    >>> from nlviz.networks.lite_nl import LiteNL
    >>> report = live_report(Model(LiteNL()), "my_module:build")
    >>> [block.name for block in report.blocks], report.complete, report.size
    (['stage3', 'stage4'], True, 0)
    """
    blocks = model.adapter.blocks(model.net)
    return LoadReport(
        file=name,
        container=IN_MEMORY,
        size=0,
        digest=model.about.digest,
        family=family_of(model.net).name,
        recognised_by="its modules",
        architecture=type(model.net).__name__,
        blocks=tuple(
            Block(block_name, block.channels, next(block.g.parameters()).shape[0], block.pairwise)
            if isinstance(block, NonLocalBlock)
            else Block(block_name, 0, 0, type(block).__name__)
            for block_name, block in blocks.items()
        ),
        flags=positions_of(model.net),
        input_spec=model.input_spec,
        trained_for=model.about.trained_for,
        matched=len(model.net.state_dict()),
    )
