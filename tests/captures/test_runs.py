"""What a block's calls in one forward pass become: runs, frames, captures in their order."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

import nlviz
from nlviz.analysis.attribution import attribution
from nlviz.analysis.health import block_health
from nlviz.captures.model import Model
from nlviz.errors import NlvizError
from nlviz.families.reading.adapter import InputSpec
from nlviz.networks.block import NonLocalBlock
from tests.nets import awake, noise_clip

SPEC = InputSpec(size=24, multiple=8, layout="frames")
CLIP = noise_clip(3, 24, 40)


class Net(nn.Module):
    """A stem of stride 4, whatever ``through`` does with the blocks, and a head."""

    def __init__(self, blocks: int = 1) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.stem = nn.Conv2d(3, 8, 4, 4)
        self.blocks = nn.ModuleList(NonLocalBlock(8, dimension=2) for _ in range(blocks))
        self.head = nn.Linear(8, 5)
        awake(self)
        self.eval()

    def through(self, x: Tensor) -> Tensor:
        return self.blocks[0](x)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.through(self.stem(x)).mean((2, 3)))


class Twice(Net):
    def through(self, x: Tensor) -> Tensor:
        self.entered = [x]
        self.entered.append(self.blocks[0](x) * 0.5)
        return self.blocks[0](self.entered[1])


class Backwards(Net):
    def through(self, x: Tensor) -> Tensor:
        return self.blocks[0](self.blocks[2](x))


class Walker(Net):
    """Walks over the frames, as many video codes do."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([super(Walker, self).forward(frame[None]) for frame in x])


class OnTheMean(Net):
    """Runs its block as often as the clip has frames, on what all frames have in common."""

    def through(self, x: Tensor) -> Tensor:
        x = x.mean(0, keepdim=True)
        for _ in range(3):
            x = self.blocks[0](x)
        return x


def rows(block: NonLocalBlock, x: Tensor) -> Tensor:
    """Rows of every frame by plain torch, (frames, queries, keys)."""
    theta, phi = (F.conv2d(x, c.weight, c.bias).flatten(2) for c in (block.theta, block.phi))
    return (theta.mT @ phi).softmax(-1)


def test_a_block_that_runs_twice_has_two_captures_each_with_its_own_everything() -> None:
    net = Twice()
    model = Model(net, input_spec=SPEC)
    capture = model.capture(CLIP)
    names = ["blocks.0", "blocks.0#2"]
    assert list(capture.affinities) == list(capture.features) == list(capture.receipts) == names
    x, second = net.entered
    with torch.no_grad():
        whole = net(model.prepared(CLIP).tensor)
        without = (
            net.head((net.blocks[0](x) * 0.5).mean((2, 3))).mean(0),
            net.head(net.blocks[0](x * 0.5).mean((2, 3))).mean(0),
        )
        sizes = [
            float((net.blocks[0](given) - given).norm() / given.norm()) for given in (x, second)
        ]
    answers = reversed(without)
    for name, entered, answer, size in zip(names, (x, second), answers, sizes, strict=True):
        affinity = capture.affinities[name]
        assert name == affinity.name
        assert f"run {1 + names.index(name)}" in affinity.note
        want = rows(net.blocks[0], entered)
        got = affinity.dense()[0].reshape(3, 60, 3, 60)
        for frame in range(3):
            torch.testing.assert_close(got[frame, :, frame], want[frame])
        torch.testing.assert_close(capture.features[name], entered.transpose(0, 1))
        health = block_health(model, capture, name)
        assert health.size == pytest.approx(size, rel=1e-4)
        run = name if "#" in name else f"{name}#1"
        torch.testing.assert_close(model.logits(CLIP, bypass=run), answer)
        assert health.effect is not None
        change = (answer - whole.mean(0)).norm() / whole.mean(0).norm()
        assert health.effect.logits == pytest.approx(float(change), rel=1e-3)
    # the plain name leaves out the block wherever it runs
    both = net.head((x * 0.5).mean((2, 3))).mean(0)
    torch.testing.assert_close(model.logits(CLIP, bypass="blocks.0"), both)
    with pytest.raises(NlvizError, match="run 3 of a block must happen, it ran 2 times"):
        model.logits(CLIP, bypass="blocks.0#3")


def test_the_gradient_is_that_of_the_run() -> None:
    net = Twice()
    model = Model(net, input_spec=SPEC)
    capture = model.capture(CLIP)
    score = net(model.prepared(CLIP).tensor).mean(0)[2]
    gradients = torch.autograd.grad(score, net.entered)
    for name, x, gradient in zip(capture.affinities, net.entered, gradients, strict=True):
        want = (gradient.mean((0, 2, 3), keepdim=True) * x).sum(1)
        got = attribution(model, capture, block=name, target=2).values
        torch.testing.assert_close(torch.from_numpy(got), want.detach())


def test_captures_come_in_the_order_in_which_blocks_run() -> None:
    capture = Model(Backwards(3), input_spec=SPEC).capture(CLIP)
    assert list(capture.affinities) == ["blocks.2", "blocks.0"]
    assert list(capture.refused) == ["blocks.1"]
    assert capture.all_notes[-1].startswith("blocks.1 is not shown: blocks.1 was not called")


def test_a_module_in_two_places_is_one_block_that_runs_twice() -> None:
    net = Backwards(3)
    net.blocks[2] = net.blocks[0]
    assert list(Model(net, input_spec=SPEC).capture(CLIP).affinities) == ["blocks.0", "blocks.0#2"]


def test_a_network_that_walks_over_the_frames_has_one_map_over_all_of_them() -> None:
    walker, together = Walker(), Net()
    want = Model(together, input_spec=SPEC)
    model = Model(walker, input_spec=SPEC)
    capture, right = model.capture(CLIP), want.capture(CLIP)
    assert list(capture.affinities) == ["blocks.0"]
    affinity = capture.affinities["blocks.0"]
    assert affinity.queries == right.affinities["blocks.0"].queries
    torch.testing.assert_close(affinity.dense(), right.affinities["blocks.0"].dense())
    assert "each time on another part" in affinity.note
    health, whole = (block_health(m, c, "blocks.0") for m, c in ((model, capture), (want, right)))
    assert health.size == pytest.approx(whole.size)
    assert health.effect is not None
    assert whole.effect is not None
    assert health.effect.logits == pytest.approx(whole.effect.logits, rel=1e-4)
    for mine, theirs in ((model, want),):
        got, values = (attribution(m, CLIP, target=1).values for m in (mine, theirs))
        torch.testing.assert_close(torch.from_numpy(got), torch.from_numpy(values))


def test_as_many_runs_as_frames_are_not_taken_for_the_frames_by_their_number() -> None:
    capture = Model(OnTheMean(), input_spec=SPEC).capture(CLIP)
    assert list(capture.affinities) == ["blocks.0", "blocks.0#2", "blocks.0#3"]


def test_a_block_that_sees_other_frames_than_the_clip_has_is_told_or_refused() -> None:
    class Doubled(Net):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(torch.cat([x, x.flip(-1)]))

    class Halved(Net):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x[::2])

    with pytest.raises(NlvizError, match="on frame 5 of 3"):
        nlviz.capture(Doubled(), CLIP, input_spec=SPEC)
    capture = nlviz.capture(Halved(), CLIP, input_spec=SPEC)
    assert capture.affinities["blocks.0"].queries.axes[0].stride == 2  # frames 0 and 2


@pytest.mark.parametrize("reentrant", [True, False])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")
def test_checkpointing_gives_one_capture_and_the_same_attribution(
    reentrant: bool, training: bool
) -> None:
    class Saving(Net):
        def through(self, x: Tensor) -> Tensor:
            return checkpoint(self.blocks[0], x, use_reentrant=reentrant)

    net = Saving().train(training)
    net.head.weight.grad = torch.ones_like(net.head.weight)
    mine, plain = Model(net, input_spec=SPEC), Model(Net(), input_spec=SPEC)
    capture, want = mine.capture(CLIP), plain.capture(CLIP)
    assert list(capture.affinities) == ["blocks.0"]
    assert torch.equal(capture.affinities["blocks.0"].theta, want.affinities["blocks.0"].theta)
    for method in ("grad-cam", "integrated-gradients"):
        got, right = (attribution(m, CLIP, method=method, target=3, steps=3) for m in (mine, plain))
        torch.testing.assert_close(torch.from_numpy(got.values), torch.from_numpy(right.values))
    assert net.training == training
    assert bool((net.head.weight.grad == 1).all())
    assert all(p.requires_grad for p in net.parameters())
    assert net.stem.weight.grad is None


def test_a_network_without_a_gradient_is_told() -> None:
    class Still(Net):
        @torch.no_grad()
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x)

    class Apart(Net):
        def through(self, x: Tensor) -> Tensor:
            return self.blocks[0](x).detach() + x

    class InPlace(Net):
        def through(self, x: Tensor) -> Tensor:
            y = self.blocks[0](x)
            return y + x.relu_()

    for kind, told in (
        (Still, "keeps no gradient"),
        (InPlace, "changes a tensor in place that the gradient needs"),
    ):
        with pytest.raises(NlvizError, match=told):
            attribution(Model(kind(), input_spec=SPEC), CLIP, target=0)
    assert attribution(Model(Apart(), input_spec=SPEC), CLIP, target=0).values.any()
