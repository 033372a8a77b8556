"""Texts, words and boxes on the command line: a table, files, and errors as sentences."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import nlviz
from nlviz.captures.capture import read_capture
from tests.cli.test_cli import run
from tests.own_words import KNOWN, MOST
from tests.words_and_boxes import of_boxes, of_film_and_words

pytestmark = pytest.mark.slow

OWN = ["--model", "tests.own_words:build"]
SENTENCE = "the dog sees the ball and then the cat runs ."


@pytest.fixture(autouse=True)
def somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_without_a_file_a_table_of_the_strongest_words_is_printed(somewhere: Path) -> None:
    result = run("attend", "--text", SENTENCE, "--query", "5", *OWN, "--top", "3")
    assert result.exit_code == 0, result.output
    heading, *rows = result.stdout.splitlines()
    assert heading == "Where “and” looks, in layers.layers.1.self_attn:"
    capture = nlviz.load_model("tests.own_words:build", allow_code=True).capture(
        nlviz.read_text(SENTENCE)
    )
    best = capture.affinities["layers.layers.1.self_attn"].map(token=5).top(3)
    assert [row.split() for row in rows] == [
        [f"{b.weight:.4f}", f"{b.multiple:.1f}x", str(b.index), b.name] for b in best
    ]
    assert "of 11 tokens; strongest other key" in result.stderr
    assert "px" not in result.output and "cell" not in result.output
    assert [*somewhere.iterdir()] == []


@pytest.mark.parametrize("query", ["8", "cat", "8:cat"])
def test_a_word_is_named_by_number_by_itself_or_by_both(query: str) -> None:
    result = run("attend", "--text", SENTENCE, "--query", query, *OWN)
    assert result.stdout.startswith("Where “cat” looks")


def test_a_view_of_a_text_is_drawn_again_from_its_file_alone(somewhere: Path) -> None:
    Path("story.txt").write_text(SENTENCE, "utf-8")
    done = run("attend", "--text-file", "story.txt", "--query", "dog", *OWN, "-o", "v.json")
    assert done.exit_code == 0, done.output
    Path("story.txt").unlink()
    view = json.loads(Path("v.json").read_text("utf-8"))
    assert (view["clip"]["text"], view["query"]["x"]) == (SENTENCE, 1)
    again = run("render", "v.json", "--weights", "tests.own_words:build", "-o", "again.npz")
    assert again.exit_code == 0, again.output
    rows = np.load("again.npz")["rows"]
    capture = nlviz.load_model("tests.own_words:build", allow_code=True).capture(
        nlviz.read_text(SENTENCE)
    )
    wanted = capture.affinities[view["block"]].rows([1])[:, 0]
    assert torch.allclose(torch.tensor(rows[:, 0, 0]), wanted, atol=1e-6)


def test_a_saved_capture_of_a_clip_and_words_is_asked_by_word() -> None:
    path = of_film_and_words().save(Path("c.nlviz"))
    result = run("attend", path, "--query", "dog", "--top", "4")
    assert result.exit_code == 0, result.output
    heading, *rows = result.stdout.splitlines()
    assert heading == "Where “dog” looks, in layer:"
    assert len(rows) == 8 and " y " in rows[0] and rows[-1].split()[-1] in "Whatdoesthedogdo?"
    assert run("attend", path, "--query", "1,8,9", "-o", "v.json").exit_code == 0
    view = json.loads(Path("v.json").read_text("utf-8"))
    assert view["text"] == "What does the dog do?" and view["display"]["token"] == ""


def test_a_box_is_asked_by_its_edges() -> None:
    path = of_boxes().save(Path("c.nlviz"))
    result = run("attend", path, "--box", "0,4,6,30,41", "-o", "row.npz")
    assert result.exit_code == 0, result.output
    wanted = read_capture(path).affinities["boxes"].map(box=0)
    found = np.load("row.npz")["rows"].mean(0)
    assert np.allclose(found, wanted.weights, atol=1e-6)
    refused = run("attend", path, "--box", "1,0,0,5,5", "-o", "row.npz")
    assert refused.exit_code == 1 and "no query's box overlaps" in refused.stderr


def test_a_box_is_given_to_a_network_that_is_asked_about_boxes() -> None:
    own = ["--model", "action-transformer.composed", "--frames", "4", "--size", "96"]
    box = ["--box", "1,20,30,60,80"]
    done = run("attend", "composed-twins.mp4", *own, *box, "-o", "v.json")
    assert done.exit_code == 0, done.output
    view = json.loads(Path("v.json").read_text("utf-8"))
    assert view["clip"]["boxes"] == [[1, 20, 30, 60, 80]]
    assert run("attend", "composed-twins.mp4", *own, *box, "-o", "one.npz").exit_code == 0
    again = run("render", "v.json", "-o", "two.npz")
    assert again.exit_code == 0, again.output
    assert np.allclose(np.load("one.npz")["rows"], np.load("two.npz")["rows"], atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--text", " "], "a text must have at least one word"),
        (["--text", "the fox runs", *OWN], "fox is no symbol of this network; it knows"),
        (["--text", "the " * 50_000, *OWN], f"reads at most {MOST} words, the text has 50000"),
        (["--text", SENTENCE, "--query", "the", *OWN], "'the' stands 3 times"),
        (["--text", SENTENCE, "--query", "11", *OWN], "a number from 0 to 10, got 11"),
        (["--text", SENTENCE, "--query", "dig", *OWN], "'dig' is no word of"),
        (["--text", "a", "--text-file", "b.txt"], "leave one of the two out"),
        (["--text-file", "b.txt"], "b.txt"),
        (["--text", "a dog", "--model", "lite-nl"], "lite-nl must be given a clip"),
        (["cat.jpg", "--text", "a dog", "--model", "lite-nl"], "takes no text beside the clip"),
        (["cat.jpg", "--box", "0,1,2,3"], "a box is FRAME,TOP,LEFT,BOTTOM,RIGHT"),
        (["cat.jpg", "--box", "0,1,2,3,4", "--query", "0,1,1"], "leave one option out"),
    ],
)
def test_errors_are_sentences(arguments: list[str], told: str) -> None:
    result = run("attend", *arguments)
    assert result.exit_code == 1, result.output
    assert told in result.stderr.replace("\n", " ")
    assert "Traceback" not in result.output


def test_something_to_look_at_must_be_given() -> None:
    result = run("attend")
    assert result.exit_code == 2 and "give a clip, a text with --text, or both" in result.stderr


def test_a_text_is_classified_and_its_network_is_inspected() -> None:
    answers = run("predict", "--text", SENTENCE, *OWN)
    assert answers.exit_code == 0, answers.output
    assert {line.split()[-1] for line in answers.stdout.splitlines()} == {"yes", "no", "maybe"}
    views = run("predict", "--text", SENTENCE, "--views", *OWN)
    assert views.exit_code == 1 and "30 views are of a video alone" in views.stderr
    told = run("inspect", "tests.own_words:build", "--text", " ".join(KNOWN))
    assert told.exit_code == 0, told.output
    assert "how different words are" in told.stdout and "point" not in told.stdout


def test_the_app_opens_a_text_at_its_address(monkeypatch: pytest.MonkeyPatch) -> None:
    from nlviz.cli import app_server

    opened: list[str] = []
    monkeypatch.setattr(app_server, "serve", lambda address, **_: opened.append(address))
    assert run("app", "--text", "d a c b").exit_code == 0
    assert opened == ["/?text=d+a+c+b"]
    refused = run("app", "--text", "a " * 9000)
    assert refused.exit_code == 1 and "paste it there, or drop its file" in refused.stderr
