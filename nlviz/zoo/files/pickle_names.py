"""The names that a pickle of weights may mention, and what stands for each of them here.

A pickle names classes and functions and asks for them to be called. Nothing is ever imported or
called: a name in these tables becomes a record of this package. Classes of other packages, such as
a configuration, leave an inert record with their name; whatever else would be called refuses the
file.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
import torch

from nlviz.zoo.files.claims import ArrayClaim, ArrayKind, Inert, Storage, TensorClaim


@dataclass(frozen=True, slots=True)
class Stand:
    """What stands for a name.

    Attributes:
        name: the name in the file.
        make: called where the file asks for the name to be called; ``ValueError`` and
            ``TypeError`` mean that the arguments make no sense.
    """

    name: str
    make: Callable[..., object]


@dataclass(frozen=True, slots=True)
class StorageKind:
    """Stands for a class of torch storages."""

    dtype: torch.dtype


@dataclass(frozen=True, slots=True)
class Foreign:
    """Stands for a class or function of another package, or of the user's own code.

    It may be mentioned, and an object of the class may be described; nothing is made of it.

    Attributes:
        name: the name in the file.
    """

    name: str

    def described(self) -> Inert:
        """Return what stands for an object of the class."""
        return Inert(self.name)

    def called(self) -> Inert:
        """Return what stands for the result of a call.

        Raises:
            Forbidden: when it is a function, or a class of a library that computes with numbers.
        """
        if self.name.partition(".")[0] in _COMPUTING or _function(self.name):
            raise Forbidden(f"a call of {self.name}")
        return Inert(self.name)


class Forbidden(Exception):
    """A call that no file of weights makes; the text names it."""


def _whole(*values: object) -> tuple[int, ...]:
    if not all(type(v) is int and 0 <= v < 2**40 for v in values):
        raise ValueError("a size that is no whole number")
    return tuple(v for v in values if isinstance(v, int))


def _tensor(
    storage: object,
    offset: object,
    size: object,
    stride: object,
    *rest: object,
    dtype: object = None,
) -> TensorClaim:
    if not isinstance(storage, Storage):
        raise TypeError("a tensor without a storage")
    if not isinstance(size, tuple) or not isinstance(stride, tuple) or len(size) != len(stride):
        raise TypeError("a tensor whose axes are no tuples")
    if len(size) > 8:
        raise ValueError(f"a tensor with {len(size)} axes")
    kind = dtype if isinstance(dtype, torch.dtype) else None
    return TensorClaim(storage, _whole(offset)[0], _whole(*size), _whole(*stride), kind)


def _tensor_with_dtype(
    storage: object,
    offset: object,
    size: object,
    stride: object,
    requires_grad: object,
    hooks: object,
    dtype: object,
    *rest: object,
) -> TensorClaim:
    return _tensor(storage, offset, size, stride, dtype=dtype)


def _subclass(make: object, kind: object, args: object, *state: object) -> object:
    if not isinstance(make, Stand) or not isinstance(args, tuple):
        raise TypeError("a tensor of an unknown class")
    if not make.name.startswith("torch._utils."):
        raise Forbidden(f"a tensor made by {make.name}")
    return make.make(*args)


def _encoded(text: object, encoding: object = "utf-8", *rest: object) -> bytes:
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1", "ascii", "utf-8"):
        raise TypeError("text in an unknown encoding")
    return text.encode(str(encoding))


def _bytes(value: object = b"", encoding: object = "latin1") -> bytes:
    # A number would ask for that many bytes.
    return value if isinstance(value, bytes) else _encoded(value, encoding)


def _scalar(kind: object, raw: object = b"") -> object:
    dtype = kind.dtype() if isinstance(kind, ArrayKind) else None
    data = raw.encode("latin-1") if isinstance(raw, str) else raw
    if dtype is None or not isinstance(data, bytes):
        return Inert("numpy scalar")
    if len(data) != dtype.itemsize:
        raise ValueError("a number of the wrong length")
    return np.frombuffer(data, dtype)[0].item()


def _from_buffer(raw: object, kind: object, shape: object, order: object = "C") -> ArrayClaim:
    if not isinstance(kind, ArrayKind) or not isinstance(shape, tuple):
        raise TypeError("an array without a kind or a shape")
    if isinstance(raw, bytes | bytearray):
        raw = memoryview(bytearray(raw))
    if not isinstance(raw, memoryview):
        raise TypeError("an array without bytes")
    return ArrayClaim(kind, _whole(*shape), order == "F", raw)


def _kind(text: object, *rest: object) -> ArrayKind:
    if isinstance(text, Stand):  # dtype(numpy.float32) instead of dtype('f4')
        text = text.name.rpartition(".")[2]
        text = np.dtype(text).str[1:] if text in np.sctypeDict else "O"
    if not isinstance(text, str):
        raise TypeError("a dtype without a name")
    return ArrayKind(text)


def _mapping(items: object = (), *rest: object) -> dict[object, object]:
    if isinstance(items, Stand) or items is None:  # defaultdict(factory[, items])
        items = rest[0] if rest else ()
    if isinstance(items, dict):
        return dict(items)
    if not isinstance(items, list | tuple):
        raise TypeError("a mapping of something else")
    found: dict[object, object] = {}
    for pair in items:
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise TypeError("a mapping of something other than pairs")
        found[hashable(pair[0])] = pair[1]
    return found


def _sequence(items: object = (), *rest: object) -> list[object]:
    if not isinstance(items, list | tuple | set | frozenset):
        raise TypeError("a sequence of something else")
    return list(items)


def _set(items: object = ()) -> frozenset[object]:
    return frozenset(hashable(item) for item in _sequence(items))


def _path(*parts: object) -> str:
    if not all(isinstance(part, str) for part in parts):
        raise TypeError("a path of something other than text")
    return str(PurePosixPath(*map(str, parts)))


def _attribute(owner: object, name: object) -> Inert:
    # Python writes methods as getattr(class, name): the logs of mmengine hold some.
    if not (isinstance(owner, Stand) and owner.name.endswith(".HistoryBuffer")):
        raise Forbidden(f"getattr of {getattr(owner, 'name', type(owner).__name__)}, {name!r}")
    return Inert(f"{owner.name}.{name}")


def _new(kind: object, *rest: object) -> object:
    if isinstance(kind, Foreign):
        return kind.described()
    if not isinstance(kind, Stand):
        raise TypeError("an object of an unknown class")
    return kind.make()


def _item(owner: object, *rest: object) -> Inert:
    # A type in brackets: typing.Optional[int] is written as operator.getitem(typing.Optional, int).
    if not isinstance(owner, Foreign | Inert) or not owner.name.startswith("typing."):
        raise Forbidden("a call of operator.getitem")
    return Inert(f"{owner.name}[]")


def hashable(key: object) -> object:
    """Return a key of a mapping, if it is a plain one: hashing nested tuples can take forever.

    Raises:
        TypeError: when it is something else.
    """
    inside = key if isinstance(key, tuple) else (key,)
    if len(inside) > 16:
        raise TypeError(f"a key of {len(inside):,} parts")
    for part in inside:
        if part is not None and type(part) not in (str, int, float, bool, bytes, torch.dtype):
            raise TypeError(f"a key that is a {type(part).__name__}")
    return key


_STORAGES: Mapping[str, torch.dtype] = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
    "UntypedStorage": torch.uint8,
}

_DTYPES = (
    "float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool",
    "uint16", "uint32", "uint64", "float8_e4m3fn", "float8_e5m2",
)  # fmt: skip

_CALLS: Mapping[str, Callable[..., object]] = {
    "_codecs.encode": _encoded,
    "builtins.bytearray": _bytes,
    "builtins.bytes": _bytes,
    "builtins.dict": _mapping,
    "builtins.frozenset": _set,
    "builtins.getattr": _attribute,
    "builtins.list": _sequence,
    "builtins.object": lambda: Inert("object"),
    "builtins.set": _set,
    "builtins.tuple": lambda items=(): tuple(_sequence(items)),
    "operator.getitem": _item,
    "collections.Counter": _mapping,
    "collections.OrderedDict": _mapping,
    "collections.defaultdict": _mapping,
    "collections.deque": _sequence,
    "copyreg._reconstructor": _new,
    "torch.Size": lambda sizes=(): tuple(_sequence(sizes)),
    "torch._tensor._rebuild_from_type_v2": _subclass,
    "torch._utils._rebuild_parameter": lambda data, *rest: data,
    "torch._utils._rebuild_parameter_with_state": lambda data, *rest: data,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_tensor_v3": _tensor_with_dtype,
    "torch.device": lambda *parts: Inert("torch.device"),
    "torch.nn.parameter.Parameter": lambda data=None, *rest: data,
    "torch.serialization._get_layout": lambda *parts: Inert("torch.layout"),
    "numpy._core.multiarray._reconstruct": lambda *rest: ArrayClaim(),
    "numpy._core.multiarray.scalar": _scalar,
    "numpy._core.numeric._frombuffer": _from_buffer,
    "numpy.core.multiarray._reconstruct": lambda *rest: ArrayClaim(),
    "numpy.core.multiarray.scalar": _scalar,
    "numpy.core.numeric._frombuffer": _from_buffer,
    "numpy.dtype": _kind,
    "numpy.ndarray": lambda *rest: ArrayClaim(),
    "pathlib.Path": _path,
    "pathlib.PosixPath": _path,
    "pathlib.PurePosixPath": _path,
    "pathlib.WindowsPath": _path,
}

# Objects of training code that checkpoints carry beside the weights: mappings become plain ones.
_MAPPINGS = (
    "addict.addict.Dict",
    "easydict.EasyDict",
    "fvcore.common.config.CfgNode",
    "mmcv.utils.config.ConfigDict",
    "mmengine.config.config.ConfigDict",
    "pytorch_lightning.utilities.parsing.AttributeDict",
    "yacs.config.CfgNode",
)
_OBJECTS = (
    "argparse.Namespace",
    "datetime.date",
    "datetime.datetime",
    "datetime.timedelta",
    "datetime.timezone",
    "decimal.Decimal",
    "enum.Enum",
    "fractions.Fraction",
    "functools.partial",
    "logging.Logger",
    "logging.getLogger",
    "numpy.random._pickle.__bit_generator_ctor",
    "numpy.random._pickle.__generator_ctor",
    "numpy.random._pickle.__randomstate_ctor",
    "random.Random",
    "re._compile",
    "types.SimpleNamespace",
    "uuid.UUID",
    "zoneinfo.ZoneInfo._unpickle",
    "mmcv.utils.config.Config",
    "mmengine.config.config.Config",
    "mmengine.logging.history_buffer.HistoryBuffer",
)
# Libraries whose classes are no plain records: to call one computes, or takes memory.
_COMPUTING = ("torch", "numpy", "torchvision", "scipy", "pandas", "jax", "tensorflow", "joblib")
# What pickled modules mention of it: layers, and the functions of activations.
_LAYERS = ("torch.nn.", "torch._C._nn.")
_PYTHON_ONCE = ("nt", "__builtin__", "cPickle", "commands")  # modules of Python 2 and of Windows
# Modules of Python that only name types.
_NAMING = ("typing", "collections.abc", "numbers", "abc", "types")
# Classes that are mentioned, as the factory of a defaultdict for instance, and never called.
_MENTIONED = (
    "builtins.bool", "builtins.complex", "builtins.float", "builtins.int", "builtins.str",
    "builtins.long", "builtins.unicode", "builtins.xrange",  # as protocol 2 spells three of them
    "builtins.bytearray", "builtins.range", "builtins.slice", "builtins.type",
    *(f"numpy.{kind}" for kind in (
        "float16", "float32", "float64", "int8", "int16", "int32", "int64",
        "uint8", "uint16", "uint32", "uint64", "bool_",
    )),
)  # fmt: skip


def _stand_ins() -> dict[str, object]:
    known: dict[str, object] = {name: Stand(name, make) for name, make in _CALLS.items()}
    known |= {name: Stand(name, lambda *args: {}) for name in _MAPPINGS}
    known |= {name: Stand(name, lambda *args, n=name: Inert(n)) for name in _OBJECTS}
    known |= {name: Stand(name, lambda *args, n=name: Inert(n)) for name in _MENTIONED}
    for module in ("torch", "torch.cuda", "torch.storage"):
        known |= {f"{module}.{name}": StorageKind(dtype) for name, dtype in _STORAGES.items()}
    known |= {f"torch.{name}": getattr(torch, name) for name in _DTYPES}
    return known


STAND_INS: Mapping[str, object] = _stand_ins()
"""What stands for each name that a file of weights may mention."""


def stand_in(full: str) -> object:
    """Return what stands for a name.

    Raises:
        Forbidden: when it is one of Python's own that weights have no use for, ``os.system`` for
            instance.

    >>> stand_in("omegaconf.dictconfig.DictConfig")
    Foreign(name='omegaconf.dictconfig.DictConfig')
    """
    if full in STAND_INS:
        return STAND_INS[full]
    module = full.rpartition(".")[0]
    if full.partition(".")[0] in sys.stdlib_module_names and module not in _NAMING:
        raise Forbidden(full)
    if full.partition(".")[0] in _PYTHON_ONCE:
        raise Forbidden(full)
    if full.partition(".")[0] in _COMPUTING and not full.startswith(_LAYERS) and _function(full):
        raise Forbidden(full)
    return Foreign(full)


def _function(full: str) -> bool:
    """Return whether a name is spelt as those of functions are."""
    return not full.rpartition(".")[2].lstrip("_")[:1].isupper()


_PYTHON_2 = {"__builtin__": "builtins", "copy_reg": "copyreg", "UserDict": "collections"}


def full_name(module: str, name: str) -> str:
    """Return a name as today's Python spells it.

    >>> full_name("__builtin__", "set")
    'builtins.set'
    """
    return f"{_PYTHON_2.get(module, module)}.{name}"
