"""Lists and tables of clips, as people and data sets write them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from nlviz.errors import MissingClip, NlvizError, UnreadableClip
from nlviz.files.local import digest_of
from nlviz.surveys.listing.known import item_of
from nlviz.surveys.listing.listed import listed
from nlviz.surveys.listing.places import Places
from nlviz.surveys.listing.reading import digest_of_item, read_item, state_of
from nlviz.surveys.options import Sampling
from tests.surveys.datasets import FRAMES, film, frames, lay


def told(path: Path, **rules: Any) -> list[tuple[str, str]]:
    return [(item.name, item.label) for item in listed(path, **rules)]


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.fixture
def films(tmp_path: Path) -> Path:
    return lay(tmp_path, "a.mp4", "b/my clip.MP4", "b/v 2.avi")


@pytest.mark.parametrize(
    "content",
    [
        "a.mp4 0\nb/my clip.MP4 1\n",
        "# kinetics\r\n\r\na.mp4,0\r\nb/my clip.MP4, 1\r\n",
        "\ufeffa.mp4\t0\nb/my clip.MP4\t1",
        '"a.mp4" 0\n"b/my clip.MP4" 1',
        "./a.mp4 0\nb\\my clip.MP4 1\na.mp4 0",
        "a.mp4 0\nb/my clip.MP4 1\n".encode("utf-16"),
        "path label\na.mp4 0\nb/my clip.MP4 1",
        "a 0\nb/my clip 1",
    ],
    ids=["space", "comma", "tab", "quotes", "windows", "utf-16", "header", "no endings"],
)
@pytest.mark.parametrize("ending", ["txt", "csv"])
def test_a_list_names_paths_and_labels(films: Path, content: str | bytes, ending: str) -> None:
    path = write(films / f"list.{ending}", content)
    assert told(path) == [("a.mp4", "0"), ("b/my clip.MP4", "1")]
    assert [label for _, label in told(path, label_column="none")] == ["", ""]
    (first, _) = listed(path)
    assert len(read_item(first, Sampling(frames=2)).frames) == 2


def test_lists_of_frames_are_those_of_tsn(tmp_path: Path) -> None:
    frames(tmp_path, "rgb/v_1")
    frames(tmp_path, "rgb/v_2", "img_{:05d}.jpg", first=1)
    path = write(tmp_path / "val.txt", f"rgb/v_1 {FRAMES} 3\nrgb/v_2/img_%05d.jpg\nrgb/v_2 7 9\n")
    items = list(listed(path))
    assert {i.kind for i in items} == {"frames"}
    assert [(i.name, i.label) for i in items] == [
        ("rgb/v_1", "3"), ("rgb/v_2/img_%05d.jpg", ""), ("rgb/v_2", "9"),
    ]  # fmt: skip
    assert [len(read_item(i, Sampling(stride=1)).frames) for i in items] == [FRAMES] * 3


def test_relative_paths_are_beside_the_list_or_below_a_root(
    films: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    away = tmp_path_factory.mktemp("lists")
    path = write(away / "list.txt", "a.mp4 0\nb/v 2.avi 1\nb/gone.avi 2\n")
    assert [i.uri for i in listed(path, root=films)][:2] == [f"{films}/a.mp4", f"{films}/b/v 2.avi"]
    monkeypatch.chdir(films)  # as lists of a repository are written
    items = list(listed(path))
    assert items[0].uri == f"{films}/a.mp4"
    with pytest.raises(MissingClip, match=r"b/gone\.avi: there is no file"):
        state_of(items[2])
    with pytest.raises(MissingClip, match="is no folder"):
        listed(path, root=films / "no")


@pytest.mark.parametrize("start", ["/mnt/lab/videos/", "D:\\lab\\videos\\", "file:///mnt/lab/"])
def test_absolute_paths_of_another_machine(films: Path, start: str) -> None:
    sign = "\\" if "\\" in start else "/"
    lines = [start + name.replace("/", sign) for name in ("a.mp4", "b/v 2.avi", "b/none.avi")]
    path = write(films / "list.txt", "\n".join(lines))
    items = list(listed(path, root=films))
    assert [i.uri for i in items] == [f"{films}/{n}" for n in ("a.mp4", "b/v 2.avi", "b/none.avi")]
    with pytest.raises(MissingClip):
        state_of(next(iter(listed(path))))


def test_once_settled_no_file_is_looked_at(films: Path) -> None:
    places = Places(films, None)
    assert places.path("a.mp4") == films / "a.mp4"
    assert places.path("not/there.mp4") == films / "not/there.mp4"
    elsewhere = Places(films, films)
    assert elsewhere.path("/x/y/b/v 2.avi") == films / "b/v 2.avi"
    assert elsewhere.path("/x/y/later.mp4") == films / "later.mp4"


CSV = {
    "comma": "Video_Path,Label,frames\na.mp4,cut,9\nb/my clip.MP4,\"pour, slowly\",8\n",
    "semicolon": "label;FILE\ncut;a.mp4\npour, slowly;b/my clip.MP4\n",
    "no header": "a.mp4,cut\nb/my clip.MP4,\"pour, slowly\"\n",
    "mark and blanks": "\ufefffile name, class\r\n a.mp4, cut\r\n,lost\r\n"
    " b/my clip.MP4, \"pour, slowly\"\r\n",
}  # fmt: skip


@pytest.mark.parametrize("kind", list(CSV))
def test_a_csv_names_its_columns_as_people_do(films: Path, kind: str) -> None:
    path = write(films / "clips.csv", CSV[kind])
    assert told(path) == [("a.mp4", "cut"), ("b/my clip.MP4", "pour, slowly")]


def rows(films: Path) -> list[dict[str, Any]]:
    return [{"path": "a.mp4", "label": 4.0, "n": 1}, {"path": "b/v 2.avi", "label": None, "n": 2}]


@pytest.mark.parametrize("ending", ["parquet", "jsonl", "json", "tsv"])
def test_tables_of_other_kinds_say_the_same(films: Path, ending: str) -> None:
    path = films / f"clips.{ending}"
    if ending == "parquet":
        parquet.write_table(pa.Table.from_pylist(rows(films)), path)
    elif ending == "jsonl":
        path.write_text("\n".join(json.dumps(row) for row in rows(films)))
    elif ending == "json":
        path.write_text(json.dumps({"clips": rows(films)}))
    else:
        path.write_text("n\tpath\tlabel\n1\ta.mp4\t4\n2\tb/v 2.avi\t\n")
    assert told(path) == [("a.mp4", "4"), ("b/v 2.avi", "")]
    assert told(path, label_column="N") == [("a.mp4", "1"), ("b/v 2.avi", "2")]
    with pytest.raises(NlvizError, match=r"no column 'labl'.*did you mean 'label'"):
        told(path, label_column="labl")


def test_a_table_without_a_path_names_its_columns(films: Path) -> None:
    path = write(films / "clips.csv", "subject,take\nann,1\n")
    with pytest.raises(NlvizError, match=r"no column of clips\.csv says.*subject and take"):
        list(listed(path))
    parquet.write_table(pa.table({"video": [3.5]}), films / "odd.parquet")
    with pytest.raises(NlvizError, match=r"'video' of odd\.parquet holds double, neither paths"):
        list(listed(films / "odd.parquet"))


def test_numbers_of_classes_have_names_where_datasets_wrote_them(films: Path) -> None:
    names = {"info": {"features": {"label": {"names": ["cut", "pour"], "_type": "ClassLabel"}}}}
    table = pa.table({"file_name": ["a.mp4", "b/v 2.avi"], "label": [1, 0]})
    meta = table.replace_schema_metadata({"huggingface": json.dumps(names)})
    parquet.write_table(meta, films / "train.parquet")
    assert told(films / "train.parquet") == [("a.mp4", "pour"), ("b/v 2.avi", "cut")]


def test_kinetics_names_files_after_ids_and_seconds(tmp_path: Path) -> None:
    lay(tmp_path, "val/making tea/-abc_000010_000020.mp4", "val/making tea/x_y_000003_000013.mkv")
    csv = "label,youtube_id,time_start,time_end,split\nmaking tea,-abc,10,20,val\n"
    path = write(tmp_path / "val.csv", csv + "making tea,x_y,3,13,val\nmaking tea,gone,1,11,val\n")
    items = list(listed(path))
    assert [(i.name, i.label) for i in items] == [
        ("val/making tea/-abc_000010_000020.mp4", "making tea"),
        ("val/making tea/x_y_000003_000013.mkv", "making tea"),
        ("gone_000001_000011.mkv", "making tea"),
    ]
    with pytest.raises(MissingClip):
        state_of(items[2])


def test_something_something_has_ids_and_templates(tmp_path: Path) -> None:
    lay(tmp_path / "videos", "78687.mp4", "42.webm")
    told_of = [
        {"id": "78687", "label": "holding potato", "template": "Holding [something]"},
        {"id": "42", "label": "moving a pen", "template": "Moving [something]"},
    ]
    path = write(tmp_path / "validation.json", json.dumps(told_of))
    assert told(path, root=tmp_path / "videos") == [
        ("78687.mp4", "Holding something"), ("42.webm", "Moving something"),
    ]  # fmt: skip


def test_lerobot_has_films_in_chunks(tmp_path: Path) -> None:
    lay(tmp_path, "videos/chunk-000/observation.images.top/episode_000000.mp4")
    parquet.write_table(pa.table({"episode_index": [0]}), tmp_path / "episode_000000.parquet")
    listing = listed(tmp_path)
    assert [i.label for i in listing] == ["observation.images.top"]
    assert listing.left_out.counts == {".parquet file": 1}


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("list.txt", b"\x7fELF\0\0\0", "list.txt is no text"),
        ("list.txt", "# nothing\n", "list.txt holds no clip"),
        ("a.csv", "", "a.csv holds no clip"),
        ("a.json", '{"path": ', "a.json is no JSON"),
        ("a.json", '{"version": 3, "name": "x"}', "a.json holds no table of clips"),
        ("a.jsonl", '{"path": "a.mp4"}\n[1]\n', "a.jsonl, line 2, is no JSON object"),
        ("a.json", '{"database": {"x": {"annotations": []}}}', "a.json holds no table"),
        ("a.json", '{"nodes": [{"id": 1}], "edges": [[0, 1]]}', "a.json holds no table"),
        ("a.parquet", b"PAR1", "a.parquet cannot be read as Parquet"),
    ],
)
def test_what_is_no_list_says_so(tmp_path: Path, name: str, content: Any, said: str) -> None:
    with pytest.raises(NlvizError, match=said):
        list(listed(write(tmp_path / name, content)))


def test_a_plain_path_is_read_as_any_other(films: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The short way of most paths gives what the long one gives."""
    written = [
        "a.mp4", "b/my clip.MP4", "b/v 2.avi", "x/../a.mp4", "./a.mp4", "b//v 2.avi", "Ä/ü.mp4",
        f"{films}/a.mp4", "/mnt/lab/cut/a.mp4", "/a.mp4", "c%d.mp4", "n#1.mp4", ".hidden.mp4",
        "no ending", "b", "b/", "a:b.mp4", "C:\\v\\a.mp4", "b\\v 2.avi", "[x].jpg", "a.mp4.",
        "~/a.mp4", " ", "s3://b/a.mp4", "file:///a.mp4", "../up.mp4",
    ]  # fmt: skip
    for root in (None, films):
        short, long = Places(films, root), Places(films, root)
        monkeypatch.setattr(long, "_plain", lambda path, label: None)
        assert short.item("a.mp4", "") == long.item("a.mp4", "")
        assert [short.item(path, "4") for path in written] == [
            long.item(path, "4") for path in written
        ]


def test_a_list_of_which_nothing_is_found_is_not_looked_for_for_ever(
    films: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nlviz.surveys.listing.places._MISSES", 3)
    path = write(films / "list.txt", "\n".join(f"not/{n}.mp4" for n in range(5)) + "\na.mp4\n")
    listing = listed(path)
    assert [i.uri for i in listing][0::5] == [f"{films}/not/0.mp4", f"{films}/a.mp4"]
    assert any("None of the first 3 relative paths" in note for note in listing.left_out.notes)


@pytest.mark.parametrize("kind", ["plain", "of datasets"])
def test_clips_may_be_cells_of_a_parquet_file(tmp_path: Path, kind: str) -> None:
    bodies = [film(3 + n) for n in range(5)]
    cells: list[Any] = bodies
    if kind == "of datasets":
        cells = [{"bytes": body, "path": f"v_{n}.mp4"} for n, body in enumerate(bodies)]
    path = tmp_path / "train-00000-of-00001.parquet"
    table = pa.table({"video": cells, "label": ["a", "b", "a", "b", "a"]})
    parquet.write_table(table, path, row_group_size=2)
    items = list(listed(path))
    names = [str(n) if kind == "plain" else f"v_{n}.mp4" for n in range(5)]
    assert [(i.name, i.label) for i in items] == [
        (f"{path.name}/{n}", label) for n, label in zip(names, "ababa", strict=True)
    ]
    for n in (0, 1, 2, 4, 3, 3, 0):  # on, over a group, back, the same again
        assert digest_of_item(items[n]) == digest_of(bodies[n])
    assert digest_of_item(item_of(items[2].uri)) == digest_of(bodies[2])
    clip = read_item(items[4], Sampling(stride=1))
    assert (len(clip.frames), clip.digest) == (7, digest_of(bodies[4]))
    before = state_of(items[4])
    assert digest_of_item(items[0]) == digest_of(bodies[0])  # and the table stays open
    parquet.write_table(table.slice(2, 2), path)
    assert digest_of_item(items[1]) == digest_of(bodies[3])
    assert state_of(items[4]) != before
    with pytest.raises(MissingClip, match="has no such row any more"):
        read_item(items[4], Sampling())
    path.unlink()
    with pytest.raises(MissingClip):
        read_item(items[0], Sampling())


def test_a_cell_without_bytes_says_so(tmp_path: Path) -> None:
    kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    cells = pa.array([{"bytes": None, "path": "a.mp4"}], kind)
    parquet.write_table(pa.table({"video": cells}), tmp_path / "t.parquet")
    (item,) = listed(tmp_path / "t.parquet")
    with pytest.raises(UnreadableClip, match="its cell holds no bytes"):
        read_item(item, Sampling())
    (tmp_path / "t.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(UnreadableClip, match="its table is broken"):
        read_item(item, Sampling())


def test_other_ways_to_write_a_list(films: Path) -> None:
    assert told(write(films / "join.txt", "file 'a.mp4'\nfile 'b/v 2.avi'\n")) == [
        ("a.mp4", ""), ("b/v 2.avi", ""),
    ]  # fmt: skip
    assert told(write(films / "a.json", '["a.mp4", "b/v 2.avi"]'))[1] == ("b/v 2.avi", "")
    assert told(write(films / "a.csv", "name,action\na,cut\n")) == [("a.mp4", "cut")]
    (item,) = listed(write(films / "films.txt", "*.mp4 5\n"))  # no frames of one clip
    with pytest.raises(MissingClip):
        read_item(item, Sampling())


def test_labels_are_what_a_table_can_hold(films: Path) -> None:
    rows = 'path,label\na.mp4,caf\xe9\nb/v 2.avi,"two\n lines"\n'
    path = write(films / "old.csv", rows.encode("cp1252"))
    assert [label for _, label in told(path)] == ["café", "two lines"]
