"""Files that want to run something, or more memory than they have bytes."""

from __future__ import annotations

import builtins
import functools
import gzip
import io
import operator
import os
import pickle
import struct
import subprocess
import sys
import tarfile
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from nlviz.errors import NlvizError, UnreadableCheckpoint, UnsafeCheckpoint
from nlviz.zoo.files import read_checkpoint
from tests.zoo.files.writing import (
    PACKINGS,
    legacy_with_pickle,
    named,
    pickled,
    python2_pickle,
    saved,
    tarred,
    tensor,
    text,
    torch_legacy,
    torch_zip,
    zip_with_pickle,
)


def refused(path: Path, kind: type[NlvizError], *parts: str) -> None:
    """Check that a file is refused in one sentence that names it, and that nothing was written."""
    before = sorted(path.parent.rglob("*")), path.read_bytes()
    with pytest.raises(kind) as failure:
        read_checkpoint(path)
    told = str(failure.value)
    assert "\n" not in told and len(told) < 400 and path.name in told
    assert all(part in told for part in parts), told
    assert (sorted(path.parent.rglob("*")), path.read_bytes()) == before


class Call:
    """Pickles as the call of a function; calls nest."""

    def __init__(self, function: object, *args: object) -> None:
        self.reduced = function, args

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return self.reduced

    def __call__(self) -> None:
        """Pass for a function, so that what a call returns can be called."""


def attacks(canary: Path) -> dict[str, object]:
    shell = f"touch {canary}"
    code = f"open({str(canary)!r}, 'w').close()"
    importing = Call(builtins.__import__, "os")
    return {
        "os.system": Call(os.system, shell),
        "eval": Call(eval, code),
        "exec": Call(exec, code),
        "subprocess": Call(subprocess.check_call, ["touch", str(canary)]),
        "open": Call(open, str(canary), "w"),
        "getattr chain": Call(Call(getattr, importing, "system"), shell),
        "getattr of a stand-in": Call(Call(getattr, OrderedDict, "__reduce__"), shell),
        "methodcaller": Call(operator.methodcaller("system", shell), importing),
        "torch.load": Call(torch.load, str(canary)),
        "bytes as a file": Call(torch.storage._load_from_bytes, b"x"),
        "numpy.load": Call(np.load, str(canary)),
        "many bytes": Call(torch.FloatTensor, 10**9),
        "a class that is called": Call(Call, len),
        "a partial of a function": Call(functools.partial, os.system, shell),
    }


@pytest.mark.parametrize("packing", ["", " in tar in gzip"])
@pytest.mark.parametrize("write", [torch_zip, torch_legacy, python2_pickle, pickle.dumps])
@pytest.mark.parametrize("attack", attacks(Path("x")))
@pytest.mark.parametrize("place", ["weights", "beside", "alone"])
def test_nothing_is_run(
    tmp_path: Path, write: Callable[[object], bytes], attack: str, place: str, packing: str
) -> None:
    canary = tmp_path / "canary"
    evil = attacks(canary)[attack]
    good: dict[str, object] = {"w": np.ones(3)} if write in (python2_pickle, pickle.dumps) else {
        "w": torch.ones(3)
    }  # fmt: skip
    content = {
        "weights": {"state_dict": {**good, "x": evil}},
        "beside": {"state_dict": good, "optimizer": [{"x": (evil,)}]},
        "alone": evil,
    }[place]
    path = saved(tmp_path, PACKINGS[packing](write(content)))
    refused(path, UnsafeCheckpoint, "asks for", "nothing was run", "state_dict")
    assert not canary.exists()


def test_the_canary_would_sing(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    pickle.loads(pickle.dumps(attacks(canary)["os.system"]))
    assert canary.exists()


HISTORY = named("mmengine.logging.history_buffer", "HistoryBuffer")
GETATTR = named("__builtin__", "getattr")


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (named("os", "system") + text("x") + b"\x85R", "os.system"),
        (named("posix", "system") + text("x") + b"\x85R", "posix.system"),
        (named("torch", "load"), "torch.load"),
        (named("torch._utils", "_rebuild_device_tensor_from_numpy"), "_rebuild_device_tensor"),
        (named("torch.jit", "load"), "torch.jit.load"),
        (named("numpy", "load"), "numpy.load"),
        (named("somebody.tools", "run") + b")R", "a call of somebody.tools.run"),
        (named("torch", "Tensor") + b")R", "a call of torch.Tensor"),
        (named("collections", "OrderedDict.fromkeys"), "OrderedDict.fromkeys"),
        (text("os") + text("system") + b"\x93", "os.system"),
        (b"(" + text("x") + b"ios\nsystem\n", "os"),
        (b"(" + named("collections", "OrderedDict") + b"o", "a class"),
        (GETATTR + HISTORY + text("min") + b"\x86R" + b")R", "HistoryBuffer.min"),
        (GETATTR + named("collections", "OrderedDict") + text("x") + b"\x86R", "getattr"),
        (GETATTR + text("os") + text("system") + b"\x86R", "getattr"),
        (HISTORY + b"}" + text("min") + named("_codecs", "encode") + b"sb", "HistoryBuffer"),
        (HISTORY + b"N}" + text("min") + b"Ns\x86b", "HistoryBuffer"),
        (named("numpy", "ndarray") + b"}b", "numpy.ndarray"),
        (b"N)R", "NoneType"),
        (b"]}b", "list"),
        (named("torch", "FloatStorage") + b")R", "StorageKind"),
        (text("some object") + b"Q", "outside object some object"),
        (b"(" + text("module") + text("x") + b"tQ", "outside object"),
        (
            named("torch._tensor", "_rebuild_from_type_v2")
            + b"(" + named("builtins", "bytearray") + b"N" + b"K\x05\x85" + b"}tR",
            "bytearray",
        ),
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "container",
    [pickled, lambda b: zip_with_pickle(pickled(b)), lambda b: legacy_with_pickle(pickled(b))],
    ids=["pickle", "zip", "legacy"],
)  # fmt: skip
def test_names_and_calls_outside_the_list(
    tmp_path: Path, body: bytes, told: str, container: Callable[[bytes], bytes]
) -> None:
    refused(saved(tmp_path, container(body)), UnsafeCheckpoint, told)


def test_pickles_of_protocol_0_are_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, b"cos\nsystem\n(S'touch canary'\ntR.")
    refused(path, UnsafeCheckpoint, "os.system")
    refused(saved(tmp_path, pickle.dumps({"w": 1}, 0)), UnreadableCheckpoint, "protocols 2 to 5")
    refused(saved(tmp_path, pickled(b"\x82\x01")), UnreadableCheckpoint, "opcode")


# Bombs -------------------------------------------------------------------------------------------

SHARE = 96 * 2**20
"""How much a process may grow for a file of a few bytes that claims gigabytes: most of it is what
PyTorch touches when it is first used."""


def laughs() -> bytes:
    """Return a list of lists of lists: a thousand bytes that would be 10**30 values."""
    body = b"]" + b"q\x00" + b"(" + b"N" * 10 + b"e"
    for level in range(30):
        body += b"0]" + b"q" + bytes([level + 1]) + b"(" + b"h" + bytes([level])
        body += b"h" + bytes([level]) + b"h" + bytes([level]) + b"e"
    return body


def hashes() -> bytes:
    """Return a key whose hash would take 2**60 steps."""
    body = b")q\x00"
    for level in range(60):
        body += b"h" + bytes([level]) + b"h" + bytes([level]) + b"\x86q" + bytes([level + 1])
    return b"}" + body + b"Ns"


def many_encodings() -> bytes:
    """Return the same text, encoded again and again."""
    body = text("x" * 100_000) + b"q\x000" + text("latin1") + b"q\x010"
    body += named("_codecs", "encode") + b"q\x020]("
    return body + b"h\x02h\x00h\x01\x86R" * 10_000 + b"e"


def many_lists() -> bytes:
    """Return copies of a long list."""
    body = b"](" + b"N" * 50_000 + b"eq\x000" + named("__builtin__", "list") + b"q\x010]("
    return body + b"h\x01h\x00\x85R" * 10_000 + b"e"


def long_claim(code: bytes, form: str, size: int) -> bytes:
    return code + struct.pack(form, size)


def array(*shape: int) -> bytes:
    """Return a pickle of a small array that claims another shape."""
    there = int(0 not in shape)
    told = pickle.dumps({"w": np.zeros(there, "f4")}, 2)
    mark = b"(K\x01K" + bytes([there]) + b"\x85"
    assert mark in told
    sizes = b"".join(b"\x8a\x08" + struct.pack("<q", n) for n in shape)
    return told.replace(mark, b"(K\x01(" + sizes + b"t", 1)


STATE = b"}" + text("w")


def nameless_records(count: int) -> bytes:
    """Return a zip whose directory is all that it holds."""
    entry = b"PK\x01\x02" + bytes(42)
    most = min(count, 0xFFFF)
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, most, most, count * 46, 4, 0)
    return b"PK\x03\x04" + entry * count + end


BOMBS = {
    "nested lists": pickled(b"]" * 200_000 + b"a" * 199_999),
    "nested tuples": pickled(b")" + b"\x85" * 200_000),
    "a thousand million laughs": pickled(laughs()),
    "a key that is never hashed": pickled(hashes()),
    "one text encoded often": pickled(many_encodings()),
    "one list copied often": pickled(many_lists()),
    "a memo of 4 GB": pickled(b"Nr\xff\xff\xff\xff"),
    "text of 4 GB": pickled(long_claim(b"X", "<I", 2**32 - 1)),
    "text of 2**60": pickled(long_claim(b"\x8d", "<Q", 2**60)),
    "bytes of 2**60": pickled(long_claim(b"\x8e", "<Q", 2**60)),
    "a bytearray of 2**60": pickled(long_claim(b"\x96", "<Q", 2**60)),
    "an old string of 2 GB": pickled(long_claim(b"T", "<I", 2**31)),
    "a number of 2 GB": pickled(long_claim(b"\x8b", "<I", 2**31)),
    "a frame of 2**60": pickled(long_claim(b"\x95", "<Q", 2**60) + b"N"),
    "bytearray(10**11)": pickled(
        named("__builtin__", "bytearray") + b"\x8a\x05\x00\xe8\x76\x48\x17\x85R"
    ),
    "an array of 4 TB": array(2**40),
    "an array of 2**120": array(2**39, 2**39, 2**39),
    "an array of no extent": array(0, 2**39, 2**39, 2**39),
    "an array of negative extent": array(-1),
    "a tensor of 2 GB, zip": zip_with_pickle(
        pickled(STATE + tensor("0", 2**29, (2**29,), (1,)) + b"s"), good=torch.ones(3)
    ),
    "a tensor of 2 GB, legacy": legacy_with_pickle(
        pickled(STATE + tensor("0", 2**29, (2**29,), (1,)) + b"s")
    ),
    "one number repeated": zip_with_pickle(
        pickled(STATE + tensor("0", 3, (2**15, 2**15), (0, 0)) + b"s"), good=torch.ones(3)
    ),
    "beyond its storage": zip_with_pickle(
        pickled(STATE + tensor("0", 3, (2, 2), (1, 2)) + b"s"), good=torch.ones(3)
    ),
    "steps backwards": zip_with_pickle(
        pickled(STATE + tensor("0", 3, (2,), (-1,)) + b"s"), good=torch.ones(3)
    ),
    "no numbers for it": zip_with_pickle(
        pickled(STATE + tensor("7", 3, (3,), (1,)) + b"s"), good=torch.ones(3)
    ),
    "twenty axes": zip_with_pickle(
        pickled(STATE + tensor("0", 3, (1,) * 20, (1,) * 20) + b"s"), good=torch.ones(3)
    ),
    "axes without steps": zip_with_pickle(
        pickled(STATE + tensor("0", 3, (3,), (1, 1)) + b"s"), good=torch.ones(3)
    ),
    "a huge tensor of nothing": zip_with_pickle(
        pickled(STATE + tensor("0", 3, (0, 2**39, 2**39), (1, 1, 1)) + b"s"), good=torch.ones(3)
    ),
    "many views of the same numbers": zip_with_pickle(
        pickled(
            b"}(" + b"".join(
                text(f"w{n}") + tensor("0", 50_000, (50_000,), (1,)) for n in range(100)
            ) + b"u"
        ),
        good=torch.ones(50_000),
    ),
    "gzip of nothing but zeros": gzip.compress(bytes(100 * 2**20), 9),
    "tar of 8 GB": tarred({"net.pth": b"x"}).replace(b"00000000001\0", b"77777777777\0", 1),
    "zip of 40,000 nameless records": nameless_records(40_000),
    "safetensors of 2**40": struct.pack("<Q", 2**40) + b'{"w":{}}',
    "safetensors claim": struct.pack("<Q", 64)
    + b'{"w":{"dtype":"F32","shape":[536870912],"data_offsets":[0,4]}}'.ljust(64) + bytes(4),
}  # fmt: skip

# The bytes of text and lists that are really there are handed over twice at most.
LARGE = {"gzip of nothing but zeros": 160 * 2**20}


@pytest.mark.parametrize("bomb", BOMBS)
def test_bombs_are_refused(tmp_path: Path, bomb: str) -> None:
    refused(saved(tmp_path, BOMBS[bomb]), UnreadableCheckpoint)


def test_laughs_beside_weights_are_left_alone(tmp_path: Path) -> None:
    good = pickle.dumps({"w": np.ones(3)}, 2)[2:-1]
    body = good + text("laughs") + laughs() + b"s"
    found = read_checkpoint(saved(tmp_path, pickled(body)))
    assert (list(found.tensors), found.left, found.meta) == (["w"], ("laughs",), {})


@pytest.mark.slow
def test_too_many_operations(tmp_path: Path) -> None:
    refused(saved(tmp_path, pickled(b"\x8f" * 1_000_001)), UnreadableCheckpoint, "1,000,000")


MEASURE = """
import os, sys
from pathlib import Path
from nlviz.zoo.files import read_checkpoint
from nlviz.errors import NlvizError

def largest(read, path):
    child = os.fork()
    if not child:
        try:
            read(path)
        except NlvizError:
            os._exit(0)
        os._exit(1)
    _, status, used = os.wait4(child, 0)
    return status, used.ru_maxrss

try:
    read_checkpoint(sys.argv[1])  # import what is imported on the way
except NlvizError as refusal:
    pass
def nothing(path):
    raise NlvizError
start = largest(nothing, "")[1]
for path in sorted(Path(sys.argv[1]).iterdir()):
    status, most = largest(read_checkpoint, path)
    print(status, most - start)
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="measures processes that fork")
def test_bombs_take_no_memory(tmp_path: Path) -> None:
    """Each is read in a process of its own, whose largest size tells what was allocated."""
    for number, (bomb, content) in enumerate(BOMBS.items()):
        saved(tmp_path, content, f"{number:02}")
        assert len(content) < 2 * 2**20, bomb
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", MEASURE, str(tmp_path)],
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    lines = [line.split() for line in done.stdout.splitlines()]
    grown = dict(zip(BOMBS, (1024 * int(kib) for _, kib in lines), strict=True))
    assert {status for status, _ in lines} == {"0"}
    assert {k: v for k, v in grown.items() if v > LARGE.get(k, SHARE)} == {}
    assert grown["gzip of nothing but zeros"] > 2**20  # the measure measures


# Archives ----------------------------------------------------------------------------------------


def zipped(files: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


@pytest.mark.parametrize(
    "name", ["../x", "a/../../x", "/etc/x", "C:/x", "a\\..\\..\\x", "\\\\host\\x"]
)
def test_names_that_lead_out_of_a_zip(tmp_path: Path, name: str) -> None:
    raw = zipped({"a/data.pkl": pickle.dumps({}, 2), "slot": b"x"})
    raw = zipped({"a/data.pkl": pickle.dumps({}, 2), name: b"x"})
    refused(saved(tmp_path, raw), UnreadableCheckpoint, "leads out of the archive")


def test_compressed_records_are_not_inflated(tmp_path: Path) -> None:
    files = {"a/data.pkl": pickle.dumps({}, 2), "a/data/0": bytes(2**20)}
    raw = zipped(files, zipfile.ZIP_DEFLATED)
    refused(saved(tmp_path, raw), UnreadableCheckpoint, "compressed", "unpack")


def directory_of(raw: bytes) -> int:
    return raw.index(b"PK\x01\x02")


@pytest.mark.parametrize(
    "change",
    [
        lambda raw, at: raw[: at + 20] + b"\0\0\0\x70" * 2 + raw[at + 28 :],  # record of 1.8 GB
        lambda raw, at: raw[: at + 42] + b"\0\0\0\x70" + raw[at + 46 :],  # far beyond the end
        lambda raw, at: raw[: at + 42] + b"\3\0\0\0" + raw[at + 46 :],  # not at a record
        lambda raw, at: raw[: at + 20] + b"\xff" * 8 + raw[at + 28 :],  # size in no extra field
        lambda raw, at: raw[: at + 28] + b"\xff\xff" + raw[at + 30 :],  # an endless name
        lambda raw, at: raw[: at] + b"XXXX" + raw[at + 4 :],
        lambda raw, at: raw[:-12] + b"\xff\xff" + raw[-10:],  # 65535 records
        lambda raw, at: raw[:-10] + b"\0\0\0\x70" + raw[-6:],  # a directory of 1.8 GB
        lambda raw, at: raw[:-6] + b"\0\0\0\x70" + raw[-2:],  # beyond the end
    ],
)  # fmt: skip
def test_zips_that_contradict_themselves(
    tmp_path: Path, change: Callable[[bytes, int], bytes]
) -> None:
    raw = zipped({"a/data.pkl": pickle.dumps({}, 2), "a/data/0": bytes(40)})
    path = saved(tmp_path, change(raw, directory_of(raw)))
    refused(path, UnreadableCheckpoint, "download it again")


def test_a_directory_that_no_weights_have(tmp_path: Path) -> None:
    path = saved(tmp_path, nameless_records(100_000))
    refused(path, UnreadableCheckpoint, "a directory of 4,600,000 bytes")


def test_records_that_share_their_bytes(tmp_path: Path) -> None:
    """Many names for one record would be far more than the file has."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a/data.pkl", pickle.dumps({}, 2))
        archive.writestr("a/data/0", bytes(100_000))
        first = archive.filelist[-1]
        for number in range(1, 5):
            copy = zipfile.ZipInfo(f"a/data/{number}")
            for field in ("header_offset", "CRC", "compress_size", "file_size"):
                setattr(copy, field, getattr(first, field))
            archive.filelist.append(copy)
    refused(saved(tmp_path, out.getvalue()), UnreadableCheckpoint, "records claim over")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_records_of_one_name(tmp_path: Path) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a/data.pkl", pickle.dumps({}, 2))
        archive.writestr("a/data.pkl", pickle.dumps({"w": 1}, 2))
    refused(saved(tmp_path, out.getvalue()), UnreadableCheckpoint, "two records")


@pytest.mark.parametrize("name", ["../net.pth", "/net.pth", "a/../../net.pth", "..\\net.pth"])
@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_names_that_lead_out_of_a_tar(tmp_path: Path, name: str, mode: str) -> None:
    raw = tarred({name: torch_zip({"w": torch.ones(2)})}, mode=mode)
    refused(saved(tmp_path, raw), UnreadableCheckpoint, "leads out of it")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_links_in_a_tar(tmp_path: Path, kind: bytes) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        link = tarfile.TarInfo("net.pth")
        link.type, link.linkname = kind, "/etc/passwd"
        archive.addfile(link)
    refused(saved(tmp_path, out.getvalue()), UnreadableCheckpoint, "link or device")


def test_a_tar_of_several_files(tmp_path: Path) -> None:
    raw = torch_zip({"w": torch.ones(2)})
    path = saved(tmp_path, tarred({"a.pth": raw, "b.pth": raw}))
    refused(path, UnreadableCheckpoint, "a.pth, b.pth", "unpack it")
    path = saved(tmp_path, tarred({"README.md": b"x", "a.pth": raw, "._a.pth": b"x"}))
    assert list(read_checkpoint(path).tensors) == ["w"]


def test_gzip_streams_in_a_row(tmp_path: Path) -> None:
    raw = torch_zip({"w": torch.ones(300)})
    for cut in (1, 70, len(raw) - 1):
        streams = gzip.compress(raw[:cut]) + gzip.compress(raw[cut:])
        assert list(read_checkpoint(saved(tmp_path, streams)).tensors) == ["w"]
    path = saved(tmp_path, gzip.compress(raw) + bytes(40))  # padding of a tape
    assert list(read_checkpoint(path).tensors) == ["w"]
    refused(saved(tmp_path, gzip.compress(b"") * 10_001), UnreadableCheckpoint, "in a row")
    bomb = gzip.compress(raw) + gzip.compress(bytes(2**20), 9) * 100
    refused(saved(tmp_path, bomb), UnreadableCheckpoint, "grows more than")


def test_packings_in_packings(tmp_path: Path) -> None:
    raw = torch_zip({"w": torch.ones(2)})
    for _ in range(3):
        raw = gzip.compress(raw)
    assert read_checkpoint(saved(tmp_path, raw)).container == "torch zip" + " in gzip" * 3
    for _ in range(30):
        raw = gzip.compress(raw)
    refused(saved(tmp_path, raw), UnreadableCheckpoint, "packed more than 3 times")
