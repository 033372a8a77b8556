"""The three tables of a survey, as Arrow schemas: rows, clips, runs."""

from __future__ import annotations

import pyarrow as pa

from nlviz.surveys.figures import FIGURES

FORMAT, VERSION = "nlviz.survey", 1

ROW_KEY = ("digest", "block", "head", "query")
"""What no two rows have in common."""

ROWS = pa.schema(
    [
        pa.field("digest", pa.string(), nullable=False),  # sha256 of the clip's bytes
        pa.field("block", pa.string(), nullable=False),
        pa.field("head", pa.int16(), nullable=False),
        pa.field("query", pa.int32(), nullable=False),  # number among the cells with a place
        pa.field("frame", pa.float32(), nullable=False),  # centre of its cell: sampled frame,
        pa.field("y", pa.float32(), nullable=False),  # and pixels of the clip as it was read
        pa.field("x", pa.float32(), nullable=False),
        pa.field("keys", pa.int32(), nullable=False),  # that the query reaches
        pa.field("sink_kind", pa.string()),  # none, off, broadcast, neither; null: not known
        pa.field("sink_key", pa.string()),  # place of its strongest sink, in words
        pa.field("sink_frame", pa.float32()),  # null: none, or a token without a place
        pa.field("sink_y", pa.float32()),
        pa.field("sink_x", pa.float32()),
        *(pa.field(name, pa.float32()) for name in FIGURES),  # null: cannot be told
    ]
)

CLIPS = pa.schema(
    [
        pa.field("uri", pa.string(), nullable=False),
        pa.field("name", pa.string(), nullable=False),
        pa.field("label", pa.string(), nullable=False),
        pa.field("status", pa.string(), nullable=False),  # done, failed, same
        pa.field("same_as", pa.string()),  # uri of the clip with the same bytes that has the rows
        pa.field("fault", pa.string()),  # a word, see engines/engine.py
        pa.field("reason", pa.string()),  # the sentence
        pa.field("state", pa.string()),  # size and time of change of the file: was it changed?
        pa.field("digest", pa.string()),
        pa.field("frames", pa.int32()),  # sampled
        pa.field("height", pa.int32()),  # of the frames as they were read
        pa.field("width", pa.int32()),
        pa.field("duration", pa.float64()),  # seconds from the first sampled frame to the last
        pa.field("prediction", pa.string()),
        pa.field("probability", pa.float32()),
        pa.field("notes", pa.list_(pa.string())),  # of the clip and of the pass
        pa.field("thumbnail", pa.binary()),  # a small JPEG of the middle frame
        pa.field("seconds", pa.float64()),  # that it took; of no other column's bits
        pa.field("run", pa.string(), nullable=False),
    ]
)

RUNS = pa.schema(
    [
        pa.field("run", pa.string(), nullable=False),
        pa.field("started", pa.timestamp("ms", tz="UTC"), nullable=False),
        pa.field("ended", pa.timestamp("ms", tz="UTC")),  # null: interrupted
        pa.field("model", pa.string(), nullable=False),
        pa.field("weights", pa.string(), nullable=False),  # digest
        pa.field("options", pa.string(), nullable=False),  # JSON of SurveyOptions
        pa.field("engine", pa.string(), nullable=False),
        pa.field("workers", pa.int32(), nullable=False),
        pa.field("device", pa.string(), nullable=False),
        pa.field("versions", pa.string(), nullable=False),  # JSON: nlviz, torch, python, av
        pa.field("platform", pa.string(), nullable=False),
    ]
)
