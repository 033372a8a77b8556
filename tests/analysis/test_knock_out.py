"""What cutting links of a query changes, against a block and a network worked out by hand."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import nlviz
from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.analysis.cut_passes import NO_NETWORK
from nlviz.analysis.knock_out import knock_out
from nlviz.captures.capture import Capture
from nlviz.captures.model import Model
from nlviz.errors import NlvizError, OutsideClip
from tests.nets import CLIPS, clip_net, noise_clip

PLACE = (2, 21, 34)  # of the clip; the grid is 2 x 8 x 12, with keys pooled to 2 x 4 x 6


@pytest.fixture(scope="module")
def model() -> Model:
    """A network whose block is in the middle of it."""
    net = clip_net(pairwise="embedded_gaussian", pool=2)
    for parameter in (*net.nl.theta.parameters(), *net.nl.phi.parameters()):
        parameter.data *= 3
    return Model(net, input_spec=CLIPS)


@pytest.fixture(scope="module")
def capture(model: Model) -> Capture:
    """What it does on noise."""
    return model.capture(noise_clip(4, 32, 48))


def by_hand(model: Model, capture: Capture, number: int, cut: Tensor) -> tuple[Tensor, Tensor]:
    """Return y at a query and the logits with logits of -inf at some keys, by a hook."""
    affinity = capture.affinities["nl"]
    assert isinstance(affinity, EmbeddedAffinity)
    block = model.net.nl
    logits = affinity.logits([number])[:, 0].clone()
    logits[:, cut] = -math.inf
    y = (logits.softmax(-1)[:, None] @ affinity.values)[:, 0].flatten()

    def patched(_module: object, args: tuple[Tensor], z: Tensor) -> Tensor:
        x, changed = args[0], z.clone()
        t, h, w = affinity.queries.unravel(number)
        column = block.bn(block.out(y.reshape(1, -1, 1, 1, 1)))[0, :, 0, 0, 0]
        changed[0, :, t, h, w] = x[0, :, t, h, w] + column
        return changed

    hook = block.register_forward_hook(patched)
    try:
        return y, model.logits(capture.clip)
    finally:
        hook.remove()


def test_figures_are_those_of_a_block_and_a_network_by_hand(model: Model, capture: Capture) -> None:
    found = knock_out(capture, "nl", PLACE, top=6, against="all", seeds=3)
    assert found.probability == pytest.approx(float(capture.logits.softmax(-1).max()), rel=1e-5)
    none = torch.zeros(0, dtype=torch.long)
    y, logits = by_hand(model, capture, found.number, none)
    assert torch.allclose(logits, capture.logits, atol=1e-5)
    every = [found.cut, *(cut for control in found.controls for cut in control.cuts)]
    assert len(every) == 1 + 3 + 3 + 1
    for cut in every:
        assert len(cut.keys) == 6
        after, answer = by_hand(model, capture, found.number, torch.tensor(cut.keys))
        assert cut.output == pytest.approx(float((after - y).norm() / y.norm()), rel=1e-3)
        wanted = float((answer - logits).norm() / logits.norm())
        assert cut.logits == pytest.approx(wanted, rel=2e-2, abs=1e-6)
        top = int(logits.argmax())
        change = float(answer.softmax(-1)[top] - logits.softmax(-1)[top])
        assert cut.answer == pytest.approx(change, abs=1e-5)


def test_a_sharp_row_reads_elsewhere_without_its_strongest_link() -> None:
    """The rest of the row is 0 in float32; without the one key, the next one has all."""
    net = clip_net(pairwise="embedded_gaussian", pool=2)
    for parameter in (*net.nl.theta.parameters(), *net.nl.phi.parameters()):
        parameter.data *= 40
    model = Model(net, input_spec=CLIPS)
    capture = model.capture(noise_clip(4, 32, 48))
    found = knock_out(capture, "nl", PLACE, top=1, seeds=2)
    assert float(found.row.max()) == 1.0
    assert torch.allclose(found.row_after.sum(-1), torch.ones(1))
    y, logits = by_hand(model, capture, found.number, torch.zeros(0, dtype=torch.long))
    after, answer = by_hand(model, capture, found.number, torch.tensor(found.cut.keys))
    assert found.cut.output == pytest.approx(float((after - y).norm() / y.norm()), rel=1e-3)
    wanted = float((answer - logits).norm() / logits.norm())
    assert found.cut.logits == pytest.approx(wanted, rel=2e-2) and wanted > 1e-4


def test_the_row_after_is_shared_out_among_what_is_left(capture: Capture) -> None:
    found = knock_out(capture, "nl", PLACE, top=6, logits=False)
    keys = list(found.cut.keys)
    assert bool((found.row_after[:, keys] == 0).all())
    assert torch.allclose(found.row_after.sum(-1), found.row.sum(-1))
    left = [k for k in range(found.row.shape[-1]) if k not in keys]
    ratio = found.row_after[:, left] / found.row[:, left]
    assert torch.allclose(ratio, ratio[:, :1].expand_as(ratio), rtol=1e-4)
    assert keys == found.row.mean(0).topk(6).indices.tolist()


def test_a_block_that_adds_nothing_changes_nothing(capture: Capture, model: Model) -> None:
    silent = clip_net(pairwise="embedded_gaussian", pool=2)
    silent.nl.bn.weight.data.zero_()
    silent.nl.bn.bias.data.zero_()
    dead = Model(silent, input_spec=CLIPS).capture(noise_clip(4, 32, 48))
    found = knock_out(dead, "nl", PLACE, top=6, seeds=2)
    assert found.cut.logits == found.cut.answer == 0.0
    assert found.cut.output > 0
    assert found.beyond("random", "logits") is False


def test_the_network_is_left_as_it_was(capture: Capture, model: Model) -> None:
    before = model.logits(capture.clip)
    state = {name: value.clone() for name, value in model.net.state_dict().items()}

    class Stop(Exception):
        pass

    def stop(_said: str, share: float) -> None:
        if share > 0.5:
            raise Stop

    with pytest.raises(Stop):
        knock_out(capture, "nl", PLACE, top=4, progress=stop)
    assert torch.equal(model.logits(capture.clip), before)
    assert all(torch.equal(value, state[n]) for n, value in model.net.state_dict().items())


def test_frames_and_painted_keys_are_cut_as_a_whole(capture: Capture) -> None:
    other = knock_out(capture, "nl", PLACE, cross_frame=True, against="all", logits=False)
    keys = capture.affinities["nl"].keys
    t, h, w = keys.shape
    own = int(keys.axes[0].nearest(PLACE[0], t))
    assert set(other.cut.keys) == {k for k in range(keys.size) if k // (h * w) != own}
    assert other.links == "all its links to other frames"
    distance = next(c for c in other.controls if c.kind == "distance")
    assert not distance.cuts and "all that lie in these frames are cut" in distance.missing
    same = knock_out(capture, "nl", PLACE, frames=1 - own, logits=False)
    assert same.cut == other.cut
    painted = knock_out(capture, "nl", PLACE, keys=[3, 3, 9], logits=False)
    assert painted.cut.keys == (3, 9) and painted.links == "2 links that you chose"


def test_the_link_to_itself_may_stay(capture: Capture) -> None:
    affinity = capture.affinities["nl"]
    whole = knock_out(capture, "nl", PLACE, top=999, logits=False)
    assert whole.links == f"all its {affinity.keys.size} links"
    assert whole.cut.output == pytest.approx(1.0) and float(whole.row_after.abs().sum()) == 0
    found = knock_out(capture, "nl", PLACE, top=999, own=False, against="all", logits=False)
    own = affinity.keys.nearest(frame=PLACE[0], y=PLACE[1], x=PLACE[2])
    assert len(found.cut.keys) == affinity.keys.size - 1 and own not in found.cut.keys


def test_heads_are_cut_alone(capture: Capture) -> None:
    with pytest.raises(OutsideClip, match="numbers from 0 to 0; got"):
        knock_out(capture, "nl", PLACE, heads=[1])
    assert knock_out(capture, "nl", PLACE, heads=[0], logits=False).heads is None


def test_a_capture_from_a_file_says_that_the_answer_is_not_known(
    capture: Capture, tmp_path: Path
) -> None:
    saved = nlviz.read_capture(capture.save(tmp_path / "c.nlviz"))
    found = knock_out(saved, "nl", PLACE, top=5)
    assert NO_NETWORK in found.notes
    assert found.cut.logits is None and found.label == ""
    assert all(row["logits"] is None for row in found.table())
    assert found.cut.output == knock_out(capture, "nl", PLACE, top=5, logits=False).cut.output


def test_the_second_run_of_a_block_is_cut_by_itself() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.of = clip_net(pairwise="embedded_gaussian", pool=2)

        def forward(self, x: Tensor) -> Tensor:
            x = self.of.nl(self.of.nl(self.of.stem(x)))
            return self.of.head(self.of.norm(x).mean((2, 3, 4)))

    twice = Model(Twice().eval(), input_spec=CLIPS).capture(noise_clip(4, 32, 48))
    one, two = (knock_out(twice, name, PLACE, top=6, seeds=1) for name in twice.affinities)
    assert list(twice.affinities) == ["of.nl", "of.nl#2"]
    assert one.notes == two.notes == ()
    assert 0 < (two.cut.logits or 0) != one.cut.logits


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"top": 0}, "at least one link is cut, got top=0"),
        ({"seeds": 0}, "a control is drawn at least once, got seeds=0"),
        ({"frames": 7}, "frames of these keys go from 0 to 1; got 7"),
        ({"keys": [48]}, "have numbers from 0 to 47; got 48 to 48"),
        ({"keys": []}, "have numbers from 0 to 47; got none"),
        ({"keys": [1], "cross_frame": True}, "by one of these"),
    ],
)
def test_what_makes_no_sense_is_refused(
    capture: Capture, options: dict[str, object], said: str
) -> None:
    with pytest.raises(NlvizError, match=said):
        knock_out(capture, "nl", PLACE, logits=False, **options)  # type: ignore[arg-type]
