"""Views of the Denoise page: they survive their file and their address, and say what is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlviz.clips.point import Point
from nlviz.denoise.comparison.run import compare
from nlviz.denoise.noise import Noise
from nlviz.errors import InvalidView
from nlviz.render.comparison_files import comparison_of
from nlviz.resources import asset
from nlviz.views.denoise_view import DenoiseView, PictureRef
from nlviz.views.display import Display
from nlviz.views.reading import read_view
from nlviz.views.view import View, find_clip
from tests.cli.test_cli import run
from tests.views.test_view import DISPLAYS, HUNDREDTHS, NAMES

NAMED = st.from_regex(r"\A[a-z0-9_-]{1,9}\Z")
NUMBERS = st.one_of(
    st.none(), st.booleans(), st.integers(-(10**6), 10**6), st.floats(-1e6, 1e6, allow_nan=False)
)
VIEWS = st.builds(
    DenoiseView,
    picture=st.builds(
        PictureRef,
        name=NAMES,
        start=st.floats(0, 1e6),
        frame=st.integers(0, 99),
        whole=st.booleans(),
        size=st.one_of(st.none(), st.integers(16, 720)),
        grey=st.booleans(),
        noisy=st.booleans(),
    ),
    noise=st.builds(
        Noise,
        kind=st.sampled_from(["gaussian", "poisson-gaussian", "salt-and-pepper"]),
        sigma=st.floats(0, 255),
        gain=st.floats(1e-3, 50),
        amount=st.floats(0, 1),
        clipped=st.booleans(),
    ),
    seed=st.integers(0, 2**31 - 1),
    told=st.one_of(st.none(), st.floats(0, 255)),
    denoisers=st.lists(NAMED, max_size=4).map(tuple),
    parameters=st.dictionaries(
        NAMED, st.dictionaries(NAMED, NUMBERS, min_size=1, max_size=3), max_size=3
    ),
    fair=st.booleans(),
    query=st.one_of(st.none(), st.builds(Point, frame=HUNDREDTHS, y=HUNDREDTHS, x=HUNDREDTHS)),
    source=st.one_of(st.none(), NAMES),
    block=st.one_of(st.none(), NAMES),
    display=DISPLAYS.map(lambda d: Display.from_dict({**d.to_dict(), "source": "learned"})),
)


@settings(max_examples=60, deadline=None)
@given(VIEWS)
def test_a_view_survives_its_file_and_its_address(view: DenoiseView) -> None:
    assert DenoiseView.from_json(view.to_json()) == view
    params = view.to_query_params()
    assert DenoiseView.from_query_params(params) == view
    assert DenoiseView.from_query_params(params).to_query_params() == params


def test_the_first_view_has_a_short_address() -> None:
    assert DenoiseView().address == "/denoise?picture=cat.jpg"


# As version 0.3 wrote them, and what its page then showed.
OF_0_3: list[tuple[dict[str, str], DenoiseView]] = [
    ({"picture": "cat.jpg"}, DenoiseView()),
    (
        {"picture": "rocket.jpg", "fair": "1", "with": "learned-local,learned-nonlocal"},
        DenoiseView(
            PictureRef("rocket.jpg"), denoisers=("learned-local", "learned-nonlocal"), fair=True
        ),
    ),
    (
        {
            "picture": "bunny.mp4",
            "start": "1.5",
            "frame": "2",
            "clip": "1",
            "size": "full",
            "grey": "1",
            "noisy": "1",
            "noise": "poisson-gaussian",
            "sigma": "42.5",
            "gain": "3",
            "amount": "0.25",
            "seed": "7",
            "clipped": "1",
            "told": "31",
            "with": "bm3d,mean",
            "set": "bm3d.level:1.2,mean.window:5,mean.x:off,mean.y:none",
            "fair": "1",
            "at": "0,37.5,112",
        },
        DenoiseView(
            PictureRef("bunny.mp4", "", 1.5, 2, True, None, True, True),
            Noise("poisson-gaussian", 42.5, 3.0, 0.25, clipped=True),
            7,
            31.0,
            ("bm3d", "mean"),
            {"bm3d": {"level": 1.2}, "mean": {"window": 5, "x": False, "y": None}},
            True,
            Point(0, 37.5, 112),
        ),
    ),
]


@pytest.mark.parametrize(("address", "view"), OF_0_3)
def test_addresses_of_0_3_say_the_same(address: dict[str, str], view: DenoiseView) -> None:
    assert DenoiseView.from_query_params(address) == view
    assert view.to_query_params() == address


def test_switches_and_sizes_of_an_address_are_taken_as_0_3_took_them() -> None:
    found = DenoiseView.from_query_params({"grey": "yes", "clip": "0", "fair": "", "size": "7"})
    assert (found.picture.grey, found.picture.whole, found.fair) == (True, False, False)
    assert found.picture.size == 16


def test_an_address_keeps_its_good_parts() -> None:
    params = {"picture": "coffee.jpg", "sigma": "loud", "seed": "1.5", "links": "9", "x": "?"}
    found = DenoiseView.understood(params)
    assert found.values == {"picture": "coffee.jpg", "links": 9}
    assert list(found.left_out) == ["sigma", "seed"]
    assert found.complaint is not None
    assert "sigma=loud (it must be a number from 0), seed=1.5" in found.complaint
    with pytest.raises(InvalidView, match="sigma must be a number from 0, got 'loud'"):
        DenoiseView.from_query_params(params)
    both = View.understood({"clip": "a.mp4", "frames": "many", "at": "1,2,3"})
    assert both.values == {"clip": "a.mp4", "at": Point(1, 2, 3)}
    assert both.complaint is not None
    assert "frames=many" in both.complaint


@pytest.mark.parametrize(
    "params",
    [
        {"sigma": "nan"},
        {"sigma": "-1"},
        {"seed": "1.5"},
        {"size": "small"},
        {"at": "3,4"},
        {"set": "mean.window:wide"},
        {"set": "window:5"},
        {"noise": "pink"},
        {"amount": "1.5"},
        {"show": "everything"},
        {"told": "inf"},
    ],
)
def test_an_address_typed_wrong_is_refused(params: dict[str, str]) -> None:
    ((name, text),) = params.items()
    with pytest.raises(InvalidView, match=f"^{name} must be .*, got '{text}'$"):
        DenoiseView.from_query_params(params)


def edited(*path: str, value: Any) -> str:
    whole: dict[str, Any] = json.loads(DenoiseView(query=Point(0, 3, 5)).to_json())
    inner = whole
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = value
    return json.dumps(whole)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (edited("page", value="lens"), "page is called 'lens'"),
        (edited("page", value=["denoise"]), "no page is called"),
        (edited("picture", value="cat.jpg"), r"picture must be an object, got 'cat\.jpg'"),
        (edited("picture", "size", value=True), r"picture\.size must be a whole number from 16"),
        (edited("picture", "start", value=float("nan")), r"picture\.start must be a number from 0"),
        (edited("picture", "whole", value=1), r"picture\.whole must be true or false, got 1"),
        (edited("noise", value=None), "noise must be an object"),
        (edited("noise", "kind", value="pink"), r"noise kind must be gaussian, poisson"),
        (edited("noise", "sigma", value=-3), "sigma must be 0 or above"),
        (edited("noise", "sigma", value=10**400), "sigma must be"),
        (edited("seed", value=-1), "seed must be a whole number from 0, got -1"),
        (edited("denoisers", value="mean"), "denoisers must be a list"),
        (edited("denoisers", value=["mean,bm3d"]), "a denoiser is named without"),
        (edited("parameters", value={"mean": 5}), r"parameters"),
        (edited("parameters", value={"mean": {"window": "5"}}), r"mean\.window must be a finite"),
        (edited("parameters", value={"mean": {"a.b": 5}}), r"named DENOISER\.NAME"),
        (edited("query", "y", value=-2), r"query\.y must be a number from 0, got -2"),
        (edited("display", "show", value="all"), "show must be map, links or both"),
        (edited("display", value=[]), "display must be an object"),
    ],
)
def test_a_view_edited_into_nonsense_is_refused(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "view.json"
    path.write_text(text, "utf-8")
    with pytest.raises(InvalidView, match=message) as error:
        read_view(path)
    assert str(error.value).startswith("view.json: ")


def test_a_file_of_either_page_is_read(tmp_path: Path) -> None:
    path = tmp_path / "view.json"
    path.write_text('{"format": "nlviz.view", "version": 1, "page": "denoise"}', "utf-8")
    view = read_view(path)
    assert view == DenoiseView()
    assert find_clip(view, beside=tmp_path) == asset("photos/cat.jpg")
    with pytest.raises(InvalidView, match="a view of the page 'denoise', not of 'explore'"):
        View.from_json(path.read_text("utf-8"))


def test_a_view_is_computed_as_the_command_computes_it() -> None:
    path = asset("photos/coffee.jpg")
    view = DenoiseView(
        PictureRef("coffee.jpg", size=40, grey=True),
        Noise(sigma=20.0),
        seed=3,
        denoisers=("gaussian", "non-local-means"),
        parameters={"non-local-means": {"h": 0.5, "patch": 3}},
    )
    done = comparison_of(view, path)
    assert done.clean is not None
    assert done.clean.shape[0] == 40
    parameters = {"non-local-means": {"h": 10.0, "patch": 3}}
    same = compare(done.clean, sigma=20, seed=3, denoisers=view.denoisers, parameters=parameters)
    assert [r["psnr"] for r in done.table] == [r["psnr"] for r in same.table]


def test_the_command_draws_a_view_of_either_page(tmp_path: Path) -> None:
    path = tmp_path / "two.json"
    view = DenoiseView(PictureRef("cat.jpg", size=40), denoisers=("mean", "gaussian"))
    path.write_text(view.to_json(), "utf-8")
    done = run("render", path)
    assert done.exit_code == 0, done.output
    assert (tmp_path / "two.png").read_bytes()[:4] == b"\x89PNG"
    done = run("render", path, "-o", tmp_path / "two.gif")
    assert done.exit_code == 1
    assert "a view of denoisers is saved as" in done.output
