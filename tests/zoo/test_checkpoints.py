"""What holds for files of every layout: how they are matched, refused, reported and assigned."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType

import pytest
import torch
from torch import Tensor, nn

from nlviz.errors import NlvizError, WeightsMismatch
from nlviz.families import FAMILIES
from nlviz.families.family import Family, TableRow
from nlviz.families.reading.adapter import InputSpec
from nlviz.families.reading.layout import Reading
from nlviz.families.reading.report import UNKNOWN
from nlviz.zoo.checkpoints import inspect_checkpoint, load_checkpoint
from nlviz.zoo.files import Checkpoint
from tests.families.references import I3D, assert_close, noise
from tests.families.torch_names import State, in_memory, state_of
from tests.families.writers import gluoncv, open_mmlab
from tests.families.writers.alexhex7 import digits
from tests.zoo.files.writing import PACKINGS, WRITERS, saved

EMBEDDED, GAUSSIAN = "embedded_gaussian", "gaussian"
KEY = "nl_1.theta.weight"


def output(net: nn.Module) -> Tensor:
    with torch.no_grad():
        found: Tensor = net(noise(2, 1, 28, 28))
    return found


@pytest.fixture(scope="module")
def plain() -> Tensor:
    return output(load_checkpoint(in_memory(digits(EMBEDDED), "net.pth"))[0])


def test_nothing_is_initialised_and_everything_assigned(monkeypatch: pytest.MonkeyPatch) -> None:
    touched: list[str] = []
    for name in ("kaiming_uniform_", "uniform_", "ones_", "zeros_", "normal_", "constant_"):
        original = getattr(nn.init, name)

        def watched(tensor: Tensor, *args: object, original=original, **more: object) -> Tensor:  # type: ignore[no-untyped-def]
            touched.append(tensor.device.type)
            return original(tensor, *args, **more)  # type: ignore[no-any-return]

        monkeypatch.setattr(nn.init, name, watched)
    state = digits(EMBEDDED)
    before = torch.get_rng_state()
    net, report = load_checkpoint(in_memory(state, "net.pth"))
    assert set(touched) == {"meta"}
    assert torch.equal(before, torch.get_rng_state())
    assert not net.training
    everything = (*net.parameters(), *net.buffers())
    assert {t.device.type for t in everything} == {"cpu"}
    assert report.matched == len(state) == len(net.state_dict())
    given = {t.data_ptr() for t in state.values()}
    assert {t.data_ptr() for t in everything} == given  # no copies


class Buffered(nn.Module):
    """A network with a number that no file holds."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(3, 2)
        self.register_buffer("table", torch.arange(5), persistent=False)


class OfBuffered:
    """A layout of it."""

    flags: Mapping[str, str] = MappingProxyType({})

    def recognise(self, checkpoint: Checkpoint) -> str | None:
        return "its head"

    def read(self, checkpoint: Checkpoint, overrides: Mapping[str, object]) -> Reading:
        names = {k: k for k in checkpoint.tensors}
        spec = InputSpec(size=32, mean=(0.0,) * 3, std=(1.0,) * 3, white=255)
        return Reading("a head", Buffered, names, (), {}, spec, "")


def test_a_network_keeps_no_number_without_a_value(monkeypatch: pytest.MonkeyPatch) -> None:
    family = Family("buffered", TableRow(source=""), checkpoint=OfBuffered())
    monkeypatch.setattr("nlviz.families.FAMILIES", (family,))
    state = {"head.weight": noise(2, 3), "head.bias": noise(2)}
    with pytest.raises(WeightsMismatch, match=r"net\.pth says nothing of table"):
        load_checkpoint(in_memory(state, "net.pth"))


def test_a_wrong_family_is_answered_with_the_close_one() -> None:
    checkpoint = in_memory(digits(EMBEDDED), "net.pth")
    for read in (load_checkpoint, inspect_checkpoint):
        with pytest.raises(NlvizError, match="'alexhex'; did you mean 'alexhex7'"):
            read(checkpoint, family="alexhex")
        with pytest.raises(NlvizError, match="no family is called 'qqqq'") as caught:
            read(checkpoint, family="qqqq")
        assert "did you mean" not in str(caught.value)


def test_a_family_on_the_users_word() -> None:
    checkpoint = in_memory(digits(EMBEDDED), "net.pth")
    assert inspect_checkpoint(checkpoint).recognised_by.startswith("the names conv_1.0.weight")
    own = inspect_checkpoint(checkpoint, family="alexhex7")
    assert (own.complete, own.recognised_by) == (True, inspect_checkpoint(checkpoint).recognised_by)
    report = inspect_checkpoint(checkpoint, family="gluoncv")
    assert (report.family, report.recognised_by) == ("gluoncv", "your word")
    assert not report.complete
    with pytest.raises(WeightsMismatch):
        load_checkpoint(checkpoint, family="gluoncv")


def test_a_file_that_two_families_recognise() -> None:
    state = {**digits(EMBEDDED), "layer2.1.nl.out.weight": noise(6, 3, 1, 1, 1)}
    report = inspect_checkpoint(in_memory(state, "net.pth"))
    assert report.family == "alexhex7"
    assert report.unexpected == ("layer2.1.nl.out.weight",)
    assert any("family='tushar-n' does so" in w for w in report.warnings)
    named = inspect_checkpoint(in_memory(state, "net.pth"), family="alexhex7")
    assert not any("family=" in w for w in named.warnings)


def test_wrong_flags_are_answered() -> None:
    checkpoint = in_memory(digits(EMBEDDED), "net.pth")
    for read in (load_checkpoint, inspect_checkpoint):
        with pytest.raises(NlvizError, match="files of alexhex7 have no flag 'scael'; did you"):
            read(checkpoint, scael=True)
        with pytest.raises(NlvizError, match="have no flag 'shift'"):
            read(checkpoint, shift=True)


def test_a_flag_that_changes_nothing_is_refused() -> None:
    """Which flags count depends on the file and on the other flags."""
    told = "the flag scale changes nothing in classifier of digits.*one of pairwise, key_pool"
    for read in (load_checkpoint, inspect_checkpoint):
        with pytest.raises(NlvizError, match=told):
            read(in_memory(digits(GAUSSIAN), "net.pth"), scale=True)
        with pytest.raises(NlvizError, match=told):
            read(in_memory(digits(EMBEDDED), "net.pth"), pairwise="dot_product", scale=True)
    assert inspect_checkpoint(in_memory(digits(EMBEDDED), "net.pth"), scale=True).complete


def test_a_flag_of_none_is_no_flag(plain: Tensor) -> None:
    net, report = load_checkpoint(in_memory(digits(EMBEDDED), "net.pth"), scale=None, shift=None)
    assert report.flags["scale"].origin == "preset"
    assert torch.equal(output(net), plain)


UNKNOWN_STATE = {
    "encoder.3.attention.theta.weight": (7, 14, 1, 1),
    "encoder.3.attention.phi.0.weight": (7, 14, 1, 1),
    "encoder.3.attention.g.0.weight": (7, 14, 1, 1),
    "encoder.3.attention.W.0.weight": (14, 7, 1, 1),
    "encoder.5.weight": (5, 14),
}


def test_an_unknown_network_is_told_with_its_blocks() -> None:
    state = {k: noise(*shape) for k, shape in UNKNOWN_STATE.items()}
    report = inspect_checkpoint(in_memory(state, "mine.pth"))
    assert (report.family, report.complete, report.recognised_by) == (UNKNOWN, False, "")
    assert [(b.name, b.channels, b.inner) for b in report.blocks] == [
        ("encoder.3.attention", 14, 7)
    ]
    assert report.blocks[0].pairwise == "embedded_gaussian or dot_product"
    assert (report.flags["code"].value, report.flags["code"].origin) == ("AlexHex7", "key")
    assert report.unexpected == tuple(state)
    (told,) = report.warnings
    with pytest.raises(WeightsMismatch) as caught:
        load_checkpoint(in_memory(state, "mine.pth"))
    for text in (told, str(caught.value)):
        assert "1 non-local block (encoder.3.attention) named as in AlexHex7" in text
        assert "nlviz.capture(net, clip)" in text
        assert all(f.name in text for f in FAMILIES if f.checkpoint is not None)


@pytest.mark.parametrize(("name", "promised"), [("net.pth", False), ("i3d_nl5.pth", True)])
def test_an_unknown_network_without_blocks(name: str, promised: bool) -> None:
    report = inspect_checkpoint(in_memory({"fc.weight": noise(3, 5)}, name))
    assert not report.blocks
    assert not report.flags
    assert "and no non-local block" in report.warnings[0]
    assert any("was never saved" in w for w in report.warnings) == promised


def test_misshapen_tensors_are_told_with_both_shapes() -> None:
    state = {**digits(EMBEDDED), KEY: noise(16, 31, 1, 1), "fc.3.bias": noise(9)}
    report = inspect_checkpoint(in_memory(state, "net.pth"))
    assert report.misshapen == (
        f"{KEY} is (16, 31, 1, 1), needs (16, 32, 1, 1)",
        "fc.3.bias is (9,), needs (10,)",
    )
    assert not report.missing  # what has another shape is not missing as well
    assert not report.unexpected
    assert report.matched == len(state) - 2
    with pytest.raises(WeightsMismatch, match=r"2 of another shape \(nl_1\.theta\.weight is"):
        load_checkpoint(in_memory(state, "net.pth"))


def test_a_sentence_on_a_file_begins_with_its_name_as_it_is() -> None:
    state = {"s1.pathway0_stem.conv.weight": noise(64, 3, 5, 7, 7)}
    report = inspect_checkpoint(in_memory(state, "small_letters.pyth"))
    assert (report.architecture, report.blocks) == ("no whole network", ())
    assert report.warnings[0].startswith("small_letters.pyth has stages of 0, 0, 0, 0")
    assert report.unexpected == tuple(state)


def test_whole_numbers_are_no_weights() -> None:
    state = digits(EMBEDDED)
    state[KEY] = (100 * state[KEY]).to(torch.int8)
    report = inspect_checkpoint(in_memory(state, "net.pth"))
    assert report.misshapen == (f"{KEY} holds int8, needs fractions",)


def test_one_tensor_under_two_names_is_not_taken_twice(plain: Tensor) -> None:
    state = {**digits(EMBEDDED), f"module.{KEY}": noise(16, 32, 1, 1)}
    report = inspect_checkpoint(in_memory(state, "net.pth"))
    assert report.unexpected == (f"module.{KEY}",)
    assert not report.missing
    with pytest.raises(WeightsMismatch, match="1 unexpected"):
        load_checkpoint(in_memory(state, "net.pth"))
    everywhere = {f"module.{k}": v for k, v in digits(EMBEDDED).items()}
    assert torch.equal(output(load_checkpoint(in_memory(everywhere, "net.pth"))[0]), plain)


def test_counters_of_training_steps_may_be_left_out(plain: Tensor) -> None:
    state = {k: v for k, v in digits(EMBEDDED).items() if "num_batches" not in k}
    net, report = load_checkpoint(in_memory(state, "net.pth"))
    assert report.complete
    assert len(report.filled) == 5
    assert all(k.endswith("num_batches_tracked") for k in report.filled)
    assert torch.equal(output(net), plain)


def test_running_statistics_may_not_be_left_out() -> None:
    state = {k: v for k, v in digits(EMBEDDED).items() if "running" not in k}
    report = inspect_checkpoint(in_memory(state, "net.pth"))
    assert len(report.missing) == 10
    assert any("statistics of 5 batch normalisations are missing" in w for w in report.warnings)
    with pytest.raises(WeightsMismatch, match=r"10 missing \(.*, \.\.\.\)"):
        load_checkpoint(in_memory(state, "net.pth"))


def test_every_key_is_accounted_for_once() -> None:
    names, places = gluoncv.NAMES, gluoncv.FIVE
    state = state_of(names, places=places, temporal=I3D, stem_kernel=5)
    kept = gluoncv.with_second_names(state)
    kept["mystery"] = noise(3)
    bent = "res_layers.2.3.nonlocal_block.theta.bias"
    kept[bent] = noise(5)
    gone = "res_layers.0.1.conv2.weight"
    del kept[gone]
    report = inspect_checkpoint(in_memory(kept, "i3d_nl5_resnet50_v1_kinetics400-9df1e103.pth"))
    assert report.family == "gluoncv"
    assert set(report.dropped) == set(kept) - set(state) - {"mystery"}
    assert report.unexpected == ("mystery",)
    assert report.missing == ("res2.1.b.weight",)
    assert len(report.misshapen) == 1
    assert report.misshapen[0].startswith(bent)
    assert report.matched + len(report.dropped) + 2 == len(kept)
    assert not report.filled


def test_what_a_layout_fills_is_told_and_gives_way_to_the_file() -> None:
    names, places = open_mmlab.plain(), ((3, 1),)
    state = state_of(names, places=places, temporal=I3D, stem_kernel=5)
    name = open_mmlab.I3D_FILE.format("embedded-gaussian")
    net, report = load_checkpoint(in_memory(state, name))
    assert list(report.filled) == ["res3.1.nl.out.bias"]
    assert "zeros" in report.filled["res3.1.nl.out.bias"]
    assert not net.get_parameter("res3.1.nl.out.bias").any()
    assert report.matched + 1 == len(net.state_dict())
    bias = noise(512)
    state["backbone.layer2.1.non_local_block.conv_out.conv.bias"] = bias
    net, report = load_checkpoint(in_memory(state, name))
    assert not report.filled
    assert torch.equal(net.get_parameter("res3.1.nl.out.bias"), bias)


def test_two_threads_load_at_once() -> None:
    """Where one thread builds on no device, another's tensors stay real."""
    names, together = ("one.pth", "other.pth"), threading.Barrier(3)
    states: dict[str, State] = {n: digits(EMBEDDED, seed=i) for i, n in enumerate(names)}
    alone = {n: output(load_checkpoint(in_memory(s, n))[0]) for n, s in states.items()}
    assert not torch.equal(alone["one.pth"], alone["other.pth"])

    def load(name: str) -> list[Tensor]:
        together.wait(timeout=30)
        return [output(load_checkpoint(in_memory(states[name], name))[0]) for _ in range(8)]

    def create() -> set[str]:
        together.wait(timeout=30)
        return {nn.Linear(3, 2).weight.device.type for _ in range(500)}

    with ThreadPoolExecutor(3) as pool:
        plain = pool.submit(create)
        found = {n: pool.submit(load, n) for n in names}
        assert plain.result(timeout=60) == {"cpu"}
        for name, future in found.items():
            for logits in future.result(timeout=60):
                torch.testing.assert_close(logits, alone[name])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_another_precision_become_float32(dtype: torch.dtype, tmp_path: Path) -> None:
    state = digits(EMBEDDED)
    stored = {k: v.to(dtype) if v.is_floating_point() else v for k, v in state.items()}
    torch.save(stored, tmp_path / "net.pth")
    net, report = load_checkpoint(tmp_path / "net.pth")
    assert report.complete
    kinds = {t.dtype for t in net.state_dict().values()}
    assert kinds == {torch.float32, torch.int64}
    rounded = {k: v.float() if v.is_floating_point() else v for k, v in stored.items()}
    assert torch.equal(net.get_parameter("nl1.theta.weight"), rounded[KEY])
    assert_close(output(net), output(load_checkpoint(in_memory(rounded, "net.pth"))[0]))


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("kind", ["torch zip", "torch legacy"])
def test_packed_files(tmp_path: Path, plain: Tensor, kind: str, packing: str) -> None:
    raw = WRITERS[kind]({"epoch": 3, "state_dict": digits(EMBEDDED)})
    told: list[tuple[str, float]] = []
    net, report = load_checkpoint(
        saved(tmp_path, PACKINGS[packing](raw)), progress=lambda *at: told.append(at)
    )
    assert report.container == kind + packing
    assert report.size == (tmp_path / "net.pth").stat().st_size
    assert torch.equal(output(net), plain)
    assert all(0 <= share <= 1 for _, share in told)
    assert told[-1] == ("Read net.pth", 1.0)
