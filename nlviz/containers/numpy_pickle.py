"""Pickles of named numpy arrays: Python 2 wrote those of Caffe2, in protocol 2."""

from __future__ import annotations

from nlviz.containers.pickle_reader import PickleReader
from nlviz.containers.source import Source
from nlviz.containers.state_dict import Weights, weights_of


def read_pickle(source: Source) -> Weights:
    """Read one pickle of named arrays; its byte strings are text where they are names.

    Raises:
        UnsafeCheckpoint: when it names anything but the parts of weights.
        UnreadableCheckpoint: when it is broken or cut short, or holds no weights.
    """
    return weights_of(source, PickleReader(source).load())
