"""Folders and patterns of clips, in the layouts that people have."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from nlviz.clips.inputs import digest_of_input
from nlviz.errors import MissingClip, NlvizError, UnreadableClip
from nlviz.files.local import digest_of
from nlviz.surveys.item import Item
from nlviz.surveys.listing.known import item_of
from nlviz.surveys.listing.listed import listed
from nlviz.surveys.listing.reading import digest_of_item, read_item, state_of
from nlviz.surveys.options import Sampling
from tests.surveys.datasets import FRAMES, film, frames, lay, picture


def told(*arguments: str | Path, **rules: str) -> list[tuple[str, str]]:
    """Return names and labels."""
    return [(item.name, item.label) for item in listed(list(arguments), **rules)]  # type: ignore[arg-type]


def names(*arguments: str | Path, **rules: str) -> list[str]:
    return [name for name, _ in told(*arguments, **rules)]


def test_ucf101_has_one_folder_a_class(tmp_path: Path) -> None:
    clips = [f"ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c{n:02d}.avi" for n in (1, 2, 10)]
    clips += ["YoYo/v_YoYo_g02_c1.avi", "YoYo/v_YoYo_g02_c9.avi", "YoYo/v_YoYo_g02_c10.avi"]
    lay(tmp_path, *clips, "Thumbs.db", ".DS_Store", "ApplyEyeMakeup/notes.json", "readme.md")
    listing = listed(tmp_path)
    assert [(i.name, i.label) for i in listing] == [(c, c.split("/")[0]) for c in clips]
    assert listing.left_out.counts == {"hidden file": 2, ".json file": 1, ".md file": 1}
    assert names(tmp_path) == clips
    assert told(tmp_path, labels="none") == [(c, "") for c in clips]


def test_splits_and_sizes_are_no_classes(tmp_path: Path) -> None:
    lay(tmp_path, "training/yelling/a.mp4", "validation/yelling/b.mp4", "validation/mowing/c.mp4")
    assert [label for _, label in told(tmp_path)] == ["yelling", "mowing", "yelling"]
    flat = lay(tmp_path / "flat", "a.mp4", "more/b.mp4")
    assert told(flat) == [("a.mp4", ""), ("more/b.mp4", "")]
    assert told(flat, labels="folder") == [("a.mp4", ""), ("more/b.mp4", "more")]


def test_davis_is_a_clip_for_each_folder_of_frames(tmp_path: Path) -> None:
    for name in ("bear", "bmx-bumps"):
        frames(tmp_path, f"JPEGImages/480p/{name}")
    items = list(listed(tmp_path / "JPEGImages" / "480p"))
    assert [(i.name, i.kind, i.label) for i in items] == [
        ("bear", "frames", ""), ("bmx-bumps", "frames", ""),
    ]  # fmt: skip
    assert {i.label for i in listed(tmp_path)} == {""}
    assert [item_of(i.uri, name=i.name) for i in items] == items
    clip = read_item(items[0], Sampling(frames=3))
    assert (clip.shape, clip.name) == ((3, 32, 40), "bear")
    assert clip.digest == digest_of_item(items[0]) == digest_of_input(Path(items[0].uri))
    assert names(tmp_path / "JPEGImages" / "480p" / "bear") == ["bear"]


def test_frames_of_several_clips_in_one_folder(tmp_path: Path) -> None:
    frames(tmp_path, "flat", "v_A_c01_{:04d}.jpg")
    frames(tmp_path, "flat", "v_A_c02_{:04d}.jpg", first=995)
    frames(tmp_path, "flat", "x{}.jpg", first=7)
    lay(tmp_path, "flat/cover.jpg")
    listing = listed(tmp_path / "flat")
    items = list(listing)
    assert [i.name for i in items] == ["v_A_c01_####.jpg", "v_A_c02_####.jpg", "x#.jpg"]
    assert [len(read_item(i, Sampling(stride=1)).frames) for i in items] == [FRAMES] * 3
    assert listing.left_out.counts == {"picture beside frames": 1}
    told = " ".join(listing.left_out.sentences())
    assert "frames of 3 clips, as in v_A_c01_####.jpg; say pictures='each'" in told
    assert len(names(tmp_path / "flat", pictures="each")) == 3 * FRAMES + 1


def test_photos_are_a_clip_each(tmp_path: Path) -> None:
    lay(tmp_path, "cat.jpg", "dog.jpg", "n01440764_10026.JPEG", "n01440764_10042.JPEG")
    lay(tmp_path, "n01440764_10194.JPEG", "n01440764_11000.JPEG")
    assert len(names(tmp_path)) == 6
    (tmp_path / "val").mkdir()
    for n, side in enumerate((32, 48, 56)):  # as ILSVRC2012_val: numbered, but not alike
        (tmp_path / "val" / f"val_{n:08d}.png").write_bytes(picture(9, (32, side)))
    assert len(names(tmp_path / "val")) == 3
    assert names(tmp_path / "val", pictures="frames") == ["val"]
    assert names(tmp_path / "cat.jpg") == ["cat.jpg"]


def test_pictures_beside_films_are_their_thumbnails(tmp_path: Path) -> None:
    listing = listed(lay(tmp_path, "a.mp4", "b.mp4", "a.jpg", "b.jpg"))
    assert [i.name for i in listing] == ["a.mp4", "b.mp4"]
    assert listing.left_out.counts == {"picture beside films": 2}
    assert names(tmp_path, pictures="each") == ["a.mp4", "b.mp4", "a.jpg", "b.jpg"]


def test_patterns_find_what_a_shell_finds_and_upper_case(tmp_path: Path) -> None:
    lay(tmp_path, "a/x.mp4", "a/deep/y.MP4", "b/z.mp4", "a/w.avi", "b/.hidden.mp4")
    assert names(f"{tmp_path}/**/*.mp4") == ["a/x.mp4", "a/deep/y.MP4", "b/z.mp4"]
    assert told(f"{tmp_path}/*/*.mp4") == [("a/x.mp4", "a"), ("b/z.mp4", "b")]
    assert names(f"{tmp_path}/?") == ["a/w.avi", "a/x.mp4", "a/deep/y.MP4", "b/z.mp4"]
    assert names(f"{tmp_path}/{{b,a}}/[xz].mp4") == ["z.mp4", "x.mp4"]
    assert sorted(names(f"{tmp_path}/**")) == sorted(names(tmp_path))
    frames(tmp_path, "walk", "img_{:04d}.png")
    for pattern in ("img_%04d.png", "img_####.png", "img_*.png"):
        (item,) = listed(f"{tmp_path}/walk/{pattern}")
        assert (item.kind, len(read_item(item, Sampling(stride=1)).frames)) == ("frames", FRAMES)
    (item,) = listed(f"{tmp_path}/walk/img_000[0-3].png")
    assert len(read_item(item, Sampling(stride=1)).frames) == 4
    # A shell writes out the pattern that has no quotes: the same clip.
    written = sorted((tmp_path / "walk").iterdir())
    (item,) = listed(written)
    assert len(read_item(item, Sampling(stride=1)).frames) == FRAMES
    some = listed(written[1:3])
    assert [i.name for i in some] == ["img_0001.png", "img_0002.png"]
    assert "No pattern names img_0001.png to img_0002.png" in some.left_out.notes[0]


def test_names_are_what_people_write(tmp_path: Path) -> None:
    odd = ["a clip.mp4", "Ähre 走る.mp4", "clip#1.mp4", "100%d.mp4", "[x].mp4", "e\u0301.mp4"]
    lay(tmp_path, *odd)
    raw = os.fsencode(tmp_path) + b"/\xff\xfe.mp4"
    Path(os.fsdecode(raw)).write_bytes(film())  # no Unicode
    items = list(listed(tmp_path))
    assert len(items) == len({i.uri for i in items}) == 7
    for item in items:
        item.uri.encode(), item.name.encode()  # tables hold nothing else
        assert read_item(item, Sampling(frames=2)).digest == digest_of_item(item)
        assert [again.uri for again in listed(item.uri)] == [item.uri]
    assert [i.name for i in listed([str(tmp_path / n) for n in odd])] == odd


def test_the_same_path_twice_is_one_item_and_a_copy_is_not(tmp_path: Path) -> None:
    lay(tmp_path, "a.mp4", "copy.mp4")
    (tmp_path / "link.mp4").symlink_to(tmp_path / "a.mp4")
    listing = listed(
        [tmp_path / "a.mp4", tmp_path, f"{tmp_path}/./a.mp4", f"file://{tmp_path}/a.mp4"]
    )
    items = list(listing)
    assert [i.name for i in items] == ["a.mp4", "copy.mp4", "link.mp4"]
    assert len({digest_of_item(i) for i in items}) == 1


def test_links_that_lead_back_end(tmp_path: Path) -> None:
    lay(tmp_path, "a/x.mp4")
    (tmp_path / "a" / "again").symlink_to(tmp_path)
    (tmp_path / "a" / "self.mp4").symlink_to("self.mp4")
    listing = listed(tmp_path)
    assert [i.name for i in listing] == ["a/self.mp4", "a/x.mp4"]
    assert listing.left_out.counts["link to a folder above it"] == 1
    assert names(f"{tmp_path}/**/x.mp4") == ["a/x.mp4"]


def test_what_is_broken_stays_and_says_why(tmp_path: Path) -> None:
    lay(tmp_path, "empty.mp4", content=b"")
    lay(tmp_path, "half.mp4", content=film()[:300])
    (tmp_path / "gone.mp4").symlink_to(tmp_path / "nowhere")
    lay(tmp_path, "clip.mp4/inner.mp4", "clip.mp4/.part.mp4")
    os.mkfifo(tmp_path / "pipe.mp4")
    items = {i.name: i for i in listed(tmp_path)}
    assert list(items) == ["empty.mp4", "gone.mp4", "half.mp4", "clip.mp4/inner.mp4"]
    with pytest.raises(UnreadableClip, match=r"empty\.mp4' is empty"):
        read_item(items["empty.mp4"], Sampling())
    with pytest.raises(UnreadableClip, match="FFmpeg cannot decode"):
        read_item(items["half.mp4"], Sampling())
    for act in (state_of, digest_of_item, lambda item: read_item(item, Sampling())):
        with pytest.raises(MissingClip, match=r"gone\.mp4: there is no file .*moved or deleted"):
            act(items["gone.mp4"])
    with pytest.raises(UnreadableClip, match="a pipe, a socket or a device"):
        read_item(Item(str(tmp_path / "pipe.mp4"), "file", "pipe.mp4"), Sampling())


def test_the_state_of_a_clip_changes_with_it(tmp_path: Path) -> None:
    frames(lay(tmp_path, "a.mp4"), "walk")
    one, many = listed([tmp_path / "a.mp4", tmp_path / "walk"])
    before = state_of(one), state_of(many)
    assert before == (state_of(one), state_of(many))
    lay(tmp_path, "a.mp4", content=film(3))
    lay(tmp_path, "walk/00007.jpg")
    assert state_of(one) != before[0] and state_of(many) != before[1]


def test_what_may_not_be_read_says_so() -> None:
    """Root may read all, so that somebody else tries, who may not enter pytest's folders."""
    with TemporaryDirectory() as folder:
        _may_not_be_read(Path(folder))


def _may_not_be_read(folder: Path) -> None:
    folder.chmod(0o755)
    lay(folder, "seen/a.mp4", "kept/b.mp4", "secret.mp4")
    closed = [folder / "secret.mp4", folder / "kept"]
    for path in closed:
        path.chmod(0)
    said = _as_nobody(lambda: "\n".join(_digest_or_reason(item) for item in listed(folder)))
    for path in closed:
        path.chmod(0o755)
    assert said.splitlines() == [
        f"secret.mp4 cannot be read (permission denied); see who may read '{closed[0]}'",
        "the folder kept cannot be read: Permission denied",
        digest_of(film()),
    ]


def _digest_or_reason(item: Item) -> str:
    try:
        return digest_of_item(item)
    except UnreadableClip as error:
        return str(error)


def _as_nobody(work: Callable[[], str]) -> str:
    """Return what work says in a process of somebody who is not root."""
    reads, writes = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of threads, which the child does not use
        child = os.fork()
    if child == 0:
        try:
            if os.getuid() == 0:
                os.setuid(65534)
            said = work()
        except BaseException as error:
            said = repr(error)
        os.write(writes, said.encode())
        os._exit(0)
    os.close(writes)
    with os.fdopen(reads) as file:
        said = file.read()
    os.waitpid(child, 0)
    return said


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("flims", r"no '.*flims'.*did you mean 'films'"),
        ("films/a.mpg", r"'a\.mpg' in .*films\); did you mean 'a\.mp4'"),
        ("nowhere/*.mp4", "looks in .*nowhere, which is no folder"),
        ("films/*.mov", r"films/\*\.mov holds no clip"),
        ("notes", r"notes holds no clip\. Left out: 2 \.json files\. A cure: give films"),
    ],
)
def test_an_argument_without_a_clip_says_what_to_do(
    tmp_path: Path, argument: str, said: str
) -> None:
    lay(tmp_path, "films/a.mp4", "notes/a.json", "notes/b.json")
    with pytest.raises(NlvizError, match=said):
        list(listed(tmp_path / argument))


def test_odd_arguments_are_no_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(lay(tmp_path, "~t.mp4", "a{b}.mp4"))
    assert names("~t.mp4", "a{b}.mp4", ".") == ["~t.mp4", "a{b}.mp4"]
    for odd in ("", " ", "\0", "~nobody/x", "a" * 300, "https:/x", "-", "{0..3}.mp4", "~t.mp4/x"):
        with pytest.raises(NlvizError):
            list(listed(odd))


def test_bundled_names_and_none() -> None:
    assert names("bunny.mp4") == ["bunny.mp4"]
    with pytest.raises(NlvizError, match="none was named"):
        listed([])
    with pytest.raises(NlvizError, match="labels is auto, folder or none, got 'all'"):
        listed("bunny.mp4", labels="all")  # type: ignore[arg-type]
