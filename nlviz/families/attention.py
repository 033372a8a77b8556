"""Attention of any network that no other family reads, whoever wrote it.

Softmax attention of Vaswani et al. 2017 (arXiv 1706.03762), in any form that a forward pass shows.
"""

from __future__ import annotations

from nlviz.families.family import Family, TableRow
from nlviz.families.reading.attention_adapter import AttentionAdapter

FAMILY = Family(
    name="attention",
    row=TableRow(
        source="any code",
        live="every attention product of a network: fused, packed or written out",
        recognised_by="`softmax`, `scaled_dot_product_attention` or attention's name in the code",
        not_told="sizes and normalisation of pictures",
        parity="rows",
        health="rows",
    ),
    blocks=AttentionAdapter(),
)
