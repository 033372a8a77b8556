"""A browser that is behind: it reports what its widgets showed before, and makes nothing up."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from app.shared import uploads
from app.shared.fields import NONE
from app.shared.slots import Slot, filled
from nlviz.errors import NlvizError
from tests.app.test_denoise import address, page
from tests.app.test_explore import app
from tests.app.widgets import the


def frozen(test: AppTest) -> Any:
    """Return what is on the screen, with the values that are there now."""
    for node in test._tree:
        if hasattr(node, "_value"):
            node._value = node.value
    return test._tree


def two_fields() -> None:
    """Draw a number, and another one that follows it unless it is set."""
    import streamlit as st

    from app.shared.fields import Fields

    values = st.session_state.setdefault("values", {"a": 1, "b": None, "said": []})

    def emit(name: str, value: int) -> None:
        values[name] = value
        values["said"].append((name, value))

    fields = Fields("", emit)
    if st.session_state.get("back"):
        fields.forgotten()
    fields.enter(st.number_input, "A", "a", 0, 100, value=values["a"])
    follows = 10 * values["a"] if values["b"] is None else values["b"]
    fields.enter(st.number_input, "B", "b", 0, 1000, value=follows)
    labels = {n: f"{n} of {values['a']}" for n in ("x", "y")}
    chosen = values.setdefault("c", "y")
    fields.pick(st.selectbox, "C", "c", ("x", "y"), chosen, format_func=labels.__getitem__)


def test_a_value_that_python_changed_is_no_wish_when_an_old_one_comes_back() -> None:
    test = AppTest.from_function(two_fields).run()
    behind = frozen(test)
    for value in (2, 3, 5):
        test._tree = behind  # what a browser shows that has not heard of the last run
        the(test.number_input, "a").set_value(value).run()
    assert not test.exception
    assert test.session_state["values"]["said"] == [("a", 2), ("a", 3), ("a", 5)]
    assert the(test.number_input, "b").value == 50
    assert (the(test.selectbox, "c").value, test.session_state["values"]["c"]) == ("y", "y")
    the(test.number_input, "b").set_value(7).run()
    the(test.number_input, "a").set_value(6).run()
    assert the(test.number_input, "b").value == 7


def test_a_browser_that_forgot_what_its_widgets_showed_is_given_others() -> None:
    test = AppTest.from_function(two_fields).run()
    the(test.number_input, "a").set_value(4).run()
    the(test.number_input, "b").set_value(9).run()
    before = {each.key for each in test.number_input}
    test.session_state["back"] = True
    test.run()
    assert before.isdisjoint(each.key for each in test.number_input)
    assert [the(test.number_input, name).value for name in "ab"] == [4, 9]
    kept = {each.key for each in test.number_input}
    test.run()  # they show what they were made with
    assert kept == {each.key for each in test.number_input}
    the(test.number_input, "a").set_value(6).run()
    assert test.session_state["values"]["said"] == [("a", 4), ("b", 9), ("a", 6)]


def written() -> None:
    """Write an address."""
    import streamlit as st

    from app.explore.state import STATE

    STATE.write_address(st.session_state["wanted"])


def test_an_address_is_written_over_one_that_the_browser_has_not_heard_of(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent: list[str] = []
    proxy = type(st.query_params)
    monkeypatch.setattr(proxy, "from_dict", lambda self, wanted: sent.append(wanted["at"]))
    test = AppTest.from_function(written)
    test.query_params["at"] = "1"  # what it has while two runs follow upon each other
    for wanted in ("2", "1", "1"):
        test.session_state["wanted"] = {"at": wanted}
        test.run()
    assert not test.exception
    assert sent == ["2", "1"]


def test_sigma_moved_ahead_of_the_page_sets_no_parameter() -> None:
    test = page({"size": "48", "with": "bilateral,gaussian,non-local-means"})
    behind = frozen(test)
    for sigma in (29.0, 33.0, 41.0):
        test._tree = behind
        the(test.slider, "dn_sigma").set_value(sigma).run()
    assert not test.exception and not test.error
    assert address(test).keys() == {"picture", "size", "with", "sigma"}
    assert the(test.slider, "dn_sigma").value == 41.0


def test_a_clip_chosen_ahead_of_the_page_keeps_block_and_clip() -> None:
    test = app(clip="cat.jpg", block="stage4")
    behind = frozen(test)
    for name in ("coffee.jpg", "bunny.mp4", "astronaut.jpg"):
        test._tree = behind
        the(test.selectbox, "input").set_value(name).run()
    assert not test.exception and not test.error
    params = address(test)
    assert (params["clip"], params["block"]) == ("astronaut.jpg", "stage4")
    assert the(test.selectbox, "block").value == "stage4"


def test_who_waits_for_another_visitor_hears_of_it_and_may_leave() -> None:
    slot: Slot = Slot()
    slot.lock.acquire()

    def leave() -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        filled(slot, lambda: 1, leave)
    threading.Timer(0.05, slot.lock.release).start()
    assert filled(slot, lambda: 2) == 2


def test_uploads_that_no_longer_fit_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    first = uploads.keep("folder\\one.bin", b"1" * 700)
    assert (first.name, first.path().read_bytes()) == ("one.bin", b"1" * 700)
    assert uploads.Upload.parse(first.text) == first
    monkeypatch.setattr(uploads, "ROOM", 1000)
    second = uploads.keep("two.bin", b"2" * 600)
    assert second.path().is_file()
    with pytest.raises(NlvizError, match=r"one\.bin is not on this server.*upload it again"):
        first.path()
    again = uploads.keep("one.bin", b"1" * 700)
    assert Path(again.path()).is_file()
    for text in ("upload:../../etc:passwd", "upload::x", "cat.jpg"):
        found = uploads.Upload.parse(text)
        assert found is None or "/" not in found.digest


def test_the_files_own_size_is_a_choice_like_others() -> None:
    test = page({"size": "full", "with": "mean", "picture": "rocket.jpg", "noisy": "1"})
    size = the(test.selectbox, "dn_size")
    assert size.options[size.index] == "as in the file"
    size.set_value(128).run()
    assert address(test)["size"] == "128"
    the(test.selectbox, "dn_size").set_value(NONE).run()
    assert address(test)["size"] == "full"
    assert not test.exception and not test.error
