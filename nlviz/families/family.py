"""One code base of networks, in one literal.

Everything that differs between code bases follows from it: how live blocks are read and files are
loaded, how blocks are found in files of unknown networks, where health looks for the last
normalisation, which weights can be had by name, and the row in the documentation's table.

To add a family, write one file with a literal ``FAMILY`` and add its name to the list in
``nlviz/families/__init__.py``.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

from nlviz.families.reading.adapter import AnyAdapter
from nlviz.families.reading.card import ModelCard
from nlviz.families.reading.layout import Layout


@dataclass(frozen=True)
class KeyEndings:
    """How the keys of a code base's block end, whatever network it stands in.

    Attributes:
        code: the code base in words, for the load report.
        g: regular expression of the end of the key of g's weight.
        out, theta: ends of the keys of the weights of W_z and of theta.
        w_f: end of the key of ``concatenation``'s weight, where the code has one.
        between: what separates the block's name from these.
    """

    code: str
    g: str
    out: str
    theta: str
    w_f: str = ""
    between: str = "."


@dataclass(frozen=True)
class TableRow:
    """A family's row in ``docs/families.md``; cells in Markdown.

    Attributes:
        source: address of the code, or where the networks are defined.
        networks: which networks its files make; empty where it reads no files.
        live: which blocks are read in any network; empty where there are no such blocks.
        recognised_by: keys of its files, or class names of its blocks.
        not_told: properties of the computation that the keys do not say, and what does.
        parity: what is compared with an independent computation in the tests.
        health: which numbers of health are known.
    """

    source: str
    networks: str = ""
    live: str = ""
    recognised_by: str = ""
    not_told: str = ""
    parity: str = "logits, rows"
    health: str = "✓"


@dataclass(frozen=True, eq=False)
class Family:
    """One code base.

    Attributes:
        name: the one word for it in ``--family``, ``ModelCard.family``, ``capture(family=)`` and
            ``load_model(family=)``; its file's path with hyphens.
        row: its documentation.
        blocks: reads blocks of live networks, or None.
        checkpoint: reads keys of files, or None.
        needs: module without which no network of this family can exist; live networks are searched
            for its blocks only once that module is imported. None where torch is enough.
        key_endings: how keys of its blocks end.
        last_norm: attribute paths, inside a block, of the normalisation behind W_z.
        cards: weights that can be had by name.
        aliases: earlier spellings of the name.

    >>> from nlviz.families import family_named
    >>> gluoncv = family_named("gluoncv")
    >>> gluoncv.last_norm, len(gluoncv.cards)
    (('bn',), 4)
    """

    name: str
    row: TableRow
    blocks: AnyAdapter | None = None
    checkpoint: Layout | None = None
    needs: str | None = None
    key_endings: tuple[KeyEndings, ...] = ()
    last_norm: tuple[str, ...] = ()
    cards: tuple[ModelCard, ...] = ()
    aliases: tuple[str, ...] = ()

    @property
    def in_use(self) -> bool:
        """Whether a live network can be of this family: what it needs is imported."""
        return self.needs is None or self.needs in sys.modules
