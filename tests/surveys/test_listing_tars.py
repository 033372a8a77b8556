"""Clips in tars, as WebDataset and people lay them, and clips of other file systems."""

from __future__ import annotations

import io
import json
import os
import tarfile
import threading
import tracemalloc
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from nlviz.errors import MissingClip, NlvizError, UnreachableClip, UnreadableClip
from nlviz.files.local import digest_of
from nlviz.surveys.item import Item
from nlviz.surveys.listing import content
from nlviz.surveys.listing.listed import listed
from nlviz.surveys.listing.reading import digest_of_item, read_item, state_of
from nlviz.surveys.options import Sampling
from tests.surveys.datasets import film, frames, lay, picture

FEW = Sampling(frames=2)


def tarred(path: Path, mode: str = "w", **members: bytes) -> Path:
    """Write a tar; ``/`` in names is written ``__``, a dot ``_dot_``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for name, body in members.items():
            info = tarfile.TarInfo(name.replace("__", "/").replace("_dot_", "."))
            info.size = len(body)
            tar.addfile(info, io.BytesIO(body))
    return path


SAMPLES = {
    "a__0001_dot_mp4": film(),
    "a__0001_dot_cls": b"7\n",
    "a__0002_dot_json": json.dumps({"label": "pouring", "fps": 10}).encode(),
    "a__0002_dot_mp4": film(3),
    "._0003_dot_mp4": b"resource fork",
    "0003_dot_txt": b"a person pours tea",
    "0003_dot_left_dot_mp4": film(4),
    "0003_dot_right_dot_MP4": film(5),
    "0003_dot_npy": b"\x93NUMPY",
    "YoYo__v_dot_avi": film(6),
    "__0004_dot_jpg": picture(40, kind="JPEG"),
}
TOLD = [
    ("a/0001.mp4", "7"),
    ("a/0002.mp4", "pouring"),
    ("0003.left.mp4", "a person pours tea"),
    ("0003.right.MP4", "a person pours tea"),
    ("YoYo/v.avi", "YoYo"),
    ("/0004.jpg", ""),
]


@pytest.mark.parametrize(("ending", "mode"), [("tar", "w"), ("tgz", "w:gz"), ("tar.xz", "w:xz")])
def test_members_are_clips_with_their_labels(tmp_path: Path, ending: str, mode: str) -> None:
    path = tarred(tmp_path / f"x#1/shard-000.{ending}", mode, **SAMPLES)
    listing = listed(path)
    items = list(listing)
    assert [(i.name, i.label) for i in items] == [(f"{path.name}/{n}", b) for n, b in TOLD]
    assert listing.left_out.counts == {"hidden member": 1, ".npy member": 1}
    assert (items[0].offset > 0) == (ending == "tar")
    bodies = [film(), film(3), film(4), film(5), film(6), picture(40, kind="JPEG")]
    for item, body in [*zip(items, bodies, strict=True)][::-1]:  # a packed tar is read anew
        assert digest_of_item(item) == digest_of(body) == read_item(item, FEW).digest
    assert state_of(items[0]) == state_of(items[1])
    (again,) = listed(items[1].uri)  # as the table of clips has it
    assert (again.uri, digest_of_item(again)) == (items[1].uri, digest_of(film(3)))
    assert [label for label in {i.label for i in listed(path, labels="none")}] == [""]


def test_a_tar_of_a_folder_as_people_pack_it(tmp_path: Path) -> None:
    """``tar cf`` of ``.``: names begin with a dot; and a clip was added a second time."""
    lay(tmp_path / "set", "cut/a.mp4", "cut/b.mp4", "Ü/c.mp4")
    with tarfile.open(tmp_path / "s.tar", "w") as tar:
        tar.add(tmp_path / "set", arcname=".")
        tar.add(tmp_path / "set/cut/a.mp4", arcname="./cut/a.mp4")
        tar.add(tmp_path / "set/cut/a.mp4", arcname="../" * 60 + "up/d.mp4")
    listing = listed(tmp_path / "s.tar")
    items = sorted(listing, key=lambda i: i.name)
    names = ["../" * 60 + "up/d.mp4", "cut/a.mp4", "cut/b.mp4", "Ü/c.mp4"]
    assert [i.name for i in items] == [f"s.tar/{name}" for name in names]
    assert [i.label for i in items] == ["up", "cut", "cut", "Ü"]
    assert listing.left_out.counts == {"member of a name that another has": 1}
    assert {digest_of_item(i) for i in items} == {digest_of(film())}


def test_shards_are_a_pattern_or_lie_in_a_folder(tmp_path: Path) -> None:
    for n in (8, 9, 10):
        tarred(tmp_path / f"train/s-{n:03d}.tar", **{f"k{n}_dot_mp4": film()})
    names = [f"s-{n:03d}.tar/k{n}.mp4" for n in (8, 9, 10)]
    assert [i.name for i in listed(f"{tmp_path}/train/s-{{008..010}}.tar")] == names
    assert [i.name for i in listed(f"{tmp_path}/train/s-*.tar")] == names
    assert [i.name for i in listed(tmp_path)] == [f"train/{name}" for name in names]
    (tmp_path / "shards.txt").write_text("train/s-008.tar\ntrain/s-009.tar ann\n")
    assert [(i.name, i.label) for i in listed(tmp_path / "shards.txt")] == [
        ("train/s-008.tar/k8.mp4", ""), ("train/s-009.tar/k9.mp4", "ann"),
    ]  # fmt: skip
    with pytest.raises(MissingClip, match=r"no '.*s-011\.tar'"):
        listed(f"{tmp_path}/train/s-{{010..011}}.tar")


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_a_tar_that_breaks_off_gives_what_it_has(tmp_path: Path, mode: str) -> None:
    path = tarred(tmp_path / "s.tar", mode, a_dot_mp4=film(), b_dot_mp4=os.urandom(9000))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) - (6000 if mode == "w:gz" else 15000)])
    items = list(listed(path))
    assert [i.name for i in items][-1] == "s.tar"
    assert read_item(items[0], FEW).digest == digest_of(film())
    with pytest.raises(UnreadableClip, match=r"s\.tar: the tar is broken"):
        read_item(items[-1], FEW)


def test_a_broken_header_is_not_the_end(tmp_path: Path) -> None:
    path = tarred(tmp_path / "s.tar", a_dot_mp4=film(), b_dot_mp4=film(3), c_dot_mp4=film(4))
    with tarfile.open(path) as tar:
        at = tar.getmember("b.mp4").offset
    whole = bytearray(path.read_bytes())
    whole[at + 3] ^= 0xFF
    path.write_bytes(whole)
    listing = listed(path)
    assert [i.name for i in listing] == ["s.tar/a.mp4", "s.tar"]
    assert any("s.tar is broken (bad checksum)" in note for note in listing.left_out.notes)


def test_a_tar_that_changed_is_not_read_at_the_old_place(tmp_path: Path) -> None:
    path = tarred(tmp_path / "s.tar", a_dot_mp4=film(), b_dot_mp4=film(3))
    items = list(listed(path))
    before = state_of(items[1])
    tarred(path, b_dot_mp4=film(3), a_dot_mp4=film())
    assert state_of(items[1]) != before
    with pytest.raises(UnreadableClip, match="no more where it was in its tar"):
        read_item(items[1], FEW)
    path.unlink()
    with pytest.raises(MissingClip):
        read_item(items[1], FEW)


def test_a_packed_tar_that_is_open_is_opened_anew_when_it_changes(tmp_path: Path) -> None:
    path = tarred(tmp_path / "s.tgz", "w:gz", a_dot_mp4=film(), b_dot_mp4=film(3))
    items = list(listed(path))
    assert digest_of_item(items[0]) == digest_of(film())
    tarred(path, "w:gz", a_dot_mp4=film(6), b_dot_mp4=film(4))
    assert digest_of_item(items[1]) == digest_of(film(4))
    tarred(path, "w:gz", a_dot_mp4=film(6))
    with pytest.raises(MissingClip, match="not in its tar any more"):
        read_item(items[1], FEW)


def test_large_members_go_through_a_file_and_too_large_ones_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (item,) = listed(tarred(tmp_path / "s.tar", a_dot_mp4=film()))
    monkeypatch.setattr(content, "IN_MEMORY", 100)
    with content.content_of(item) as found:
        assert isinstance(found, Path) and found.read_bytes() == film()
    assert not found.exists()
    assert read_item(item, FEW).digest == digest_of(film())
    monkeypatch.setattr(content, "LARGEST", 200)
    with pytest.raises(UnreadableClip, match="more than is copied"):
        read_item(item, FEW)


def test_a_long_tar_is_listed_in_little_memory(tmp_path: Path) -> None:
    """Four thousand headers, which Python's tars keep, take twice as much."""
    path = tmp_path / "long.tar"
    with tarfile.open(path, "w") as tar:
        for n in range(4_000):
            tar.addfile(tarfile.TarInfo(f"{n:06d}.mp4"))
    tracemalloc.start()
    try:
        assert sum(1 for _ in listed(path)) == 4_000
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Any]:
    """A file system of fsspec with a small data set."""
    import fsspec

    system = fsspec.filesystem("memory")
    system.store.clear()
    frames(lay(tmp_path, "yelling/a.MP4", "yelling/b.avi", "mowing/c.mp4"), "walk/one")
    tarred(tmp_path / "shards/s-0.tar", **SAMPLES)
    (tmp_path / "list.csv").write_text("path,label\nyelling/a.MP4,1\nmowing/c.mp4,2\n")
    (tmp_path / "notes.md").write_text("x")
    system.put(f"{tmp_path}/", "/set/", recursive=True)
    yield system
    system.store.clear()


def test_another_file_system_is_listed_and_read_as_a_folder(tmp_path: Path, memory: Any) -> None:
    there = list(listed("memory://set/"))
    here = list(listed(tmp_path))
    assert [(i.name, i.label) for i in there] == [(i.name, i.label) for i in here]
    assert [i.uri for i in listed("memory://set")] == [i.uri for i in there]
    for a, b in zip(there, here, strict=True):
        assert digest_of_item(a) == digest_of_item(b) == read_item(a, FEW).digest
        assert (read_item(a, FEW).frames == read_item(b, FEW).frames).all()
        assert state_of(a)
    assert [i.name for i in listed("memory://set/**/*.mp4")] == ["mowing/c.mp4"]
    assert [(i.name, i.label) for i in listed("memory://set/list.csv")] == [
        ("yelling/a.MP4", "1"), ("mowing/c.mp4", "2"),
    ]  # fmt: skip
    (tmp_path / "here.txt").write_text("yelling/b.avi 3\nmemory://set/mowing/c.mp4 4\n")
    listing = listed(tmp_path / "here.txt", root="memory://set")
    assert [digest_of_item(i) for i in listing] == [digest_of(film())] * 2
    memory.rm("/set/mowing/c.mp4")
    with pytest.raises(MissingClip, match="moved or deleted"):
        state_of(list(listing)[1])


def test_a_zip_is_a_file_system_too(tmp_path: Path) -> None:
    import zipfile

    with zipfile.ZipFile(tmp_path / "films.zip", "w") as pack:
        pack.writestr("in/a.mp4", film())
        pack.writestr("in/b.mp4", film(3))
    items = list(listed(f"zip://in/::{tmp_path}/films.zip"))
    assert [i.name for i in items] == ["a.mp4", "b.mp4"]
    assert [digest_of_item(i) for i in items] == [digest_of(film()), digest_of(film(3))]


class _Ranges(SimpleHTTPRequestHandler):
    """Serves parts of files, as storage does and Python's own server does not."""

    def send_head(self) -> Any:
        if "refused" in self.path:
            self.send_error(403)
            return None
        return super().send_head()

    def do_GET(self) -> None:
        path = Path(self.translate_path(self.path))
        asked = self.headers.get("Range", "").removeprefix("bytes=").split("-")
        if "/whole/" in self.path or not asked[0] or not path.is_file():
            super().do_GET()
            return
        body = path.read_bytes()
        first = int(asked[0])
        part = body[first : int(asked[1]) + 1 if asked[1] else None]
        self.send_response(206)
        self.send_header("Content-Length", str(len(part)))
        self.send_header("Content-Range", f"bytes {first}-{first + len(part) - 1}/{len(body)}")
        self.end_headers()
        self.wfile.write(part)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    lay(tmp_path, "a clip.mp4", "whole/b.mp4")
    tarred(tmp_path / "s.tar", **SAMPLES)
    tarred(tmp_path / "whole/s.tar", **SAMPLES)

    def handler(*args: Any) -> _Ranges:
        return _Ranges(*args, directory=str(tmp_path))

    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


def test_the_web_is_read_where_its_package_is_there(
    server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("aiohttp")
    monkeypatch.setenv("NLVIZ_OFFLINE", "0")
    items = list(listed([f"{server}/a%20clip.mp4?token=3", f"{server}/whole/b.mp4"]))
    assert [i.name for i in items] == ["a%20clip.mp4", "whole/b.mp4"]
    assert [digest_of_item(i) for i in items] == [digest_of(film())] * 2
    folder = list(listed(f"{server}/whole/"))
    assert [i.name for i in folder][:2] == ["b.mp4", "s.tar/a/0001.mp4"]
    members = list(listed(f"{server}/s.tar"))
    assert [i.label for i in members] == [label for _, label in TOLD]
    assert digest_of_item(members[1]) == digest_of(film(3))
    monkeypatch.setattr(content, "_PAUSE", 0.0)
    with pytest.raises(UnreadableClip, match="may not be read"):
        read_item(Item(f"{server}/refused.mp4", "remote", "refused.mp4"), FEW)
    with pytest.raises(MissingClip):
        read_item(Item(f"{server}/none.mp4", "remote", "none.mp4"), FEW)
    with pytest.raises(UnreachableClip, match="could not be had"):
        read_item(Item("http://127.0.0.1:9/none.mp4", "remote", "none.mp4"), FEW)
    monkeypatch.setenv("NLVIZ_OFFLINE", "1")
    with pytest.raises(NlvizError, match="NLVIZ_OFFLINE forbids"):
        list(listed(f"{server}/a.mp4"))


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("s3://bucket/a.mp4", "pip install s3fs"),
        ("gs://bucket/a.mp4", "pip install gcsfs"),
        ("none://bucket/a.mp4", "addresses begin with"),
    ],
)
def test_a_file_system_that_is_not_there_names_its_package(
    url: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from importlib.util import find_spec

    if find_spec(said.rpartition(" ")[2]):
        pytest.skip("it is installed")
    monkeypatch.setenv("NLVIZ_OFFLINE", "0")
    with pytest.raises(NlvizError, match=said):
        list(listed(url))
