"""Which part of a network's output are its class scores."""

from __future__ import annotations

import re
from collections import OrderedDict, namedtuple
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import nlviz
from nlviz import InputSpec, Model
from nlviz.captures.outputs import class_scores
from nlviz.errors import NlvizError
from tests.nets import noise_clip

Z = torch.randn(4, 7, generator=torch.Generator().manual_seed(3))
MEAN = Z.mean(0)
Inception = namedtuple("Inception", ("logits", "aux_logits"))
HEAD = nn.Linear(3, 7)


@dataclass
class WithLoss:
    loss: Tensor | None
    logits: Tensor
    hidden_states: tuple[Tensor, ...] = ()


PICTURE = torch.zeros(1, 21, 5, 6)


@pytest.mark.parametrize(
    ("output", "want", "told"),
    [
        (Z, MEAN, "mean over 4 frames"),
        (Z[:1], Z[0], ""),
        (Z[0], Z[0], ""),
        (Z[None], MEAN, "mean over 4 frames"),
        (Z.mT[None], MEAN, "mean over 4 frames"),
        (Z.mT[None, :, :, None, None], MEAN, "mean over 4 frames"),
        (Z[:2].mT[None], Z[:2].mean(0), "mean over 2 steps in time"),
        (Z[:1, :, None, None], Z[0], ""),
        ([Z[:1]], Z[0], ""),
        ((Z[:1], Z[1:2]), Z[0], r"output\[0\] \(of 0, 1\)"),
        ({"aux": Z[1:2], "logits": Z[:1]}, Z[0], r"output\['logits'\] \(of aux, logits\)"),
        ({"aux": Z[1:2], "logits": Z}, MEAN, r"takes another\. They are the mean over 4 frames"),
        (OrderedDict(out=PICTURE, cls=Z[:1]), Z[0], r"output\['cls'\]"),
        (Inception(Z[:1], Z[1:2]), Z[0], r"output\['logits'\]"),
        (WithLoss(torch.tensor(0.5), Z[:1], (torch.zeros(1, 7),)), Z[0], r"\['logits'\]"),
        ({"heads": [{"scores": Z[:1]}], "loss": torch.zeros(())}, Z[0], r"\['heads'\]\[0\]"),
        (Z[:1].softmax(-1), Z[0].log_softmax(-1), "returns probabilities"),
        (Z.softmax(-1), Z.softmax(-1).mean(0).log(), "mean over 4 frames.*probabilities"),
    ],
)
def test_class_scores_are_found_and_what_was_taken_is_said(
    output: Any, want: Tensor, told: str
) -> None:
    found = class_scores(HEAD, output, frames=4)
    assert found.logits is not None
    torch.testing.assert_close(found.logits, want)
    if told:
        assert said(told, found.note)
    else:
        assert found.note == ""


def said(pattern: str, text: str) -> bool:
    return re.search(pattern, text) is not None


@pytest.mark.parametrize(
    ("output", "told"),
    [
        (None, "the network returns None"),
        (PICTURE, r"a tensor \(1, 21, 5, 6\)"),
        (OrderedDict(out=PICTURE, aux=PICTURE), r"OrderedDict of out \(1, 21, 5, 6\), aux"),
        (torch.zeros(4), r"a tensor \(4,\)"),  # a number for each frame
        (torch.zeros(1, 9, 11), r"a tensor \(1, 9, 11\)"),  # of which axis?
        (torch.zeros(30, 7), r"a tensor \(30, 7\)"),  # of 30 what?
        ({"last_hidden_state": torch.zeros(1, 9), "pooler_output": torch.zeros(1, 9)}, "dict of"),
        (torch.zeros(1, 7, dtype=torch.int64), "a tensor"),
        (torch.zeros(()), "a tensor"),
        ({}, "a dict without tensors"),
    ],
)
def test_what_is_no_score_per_class_is_left_alone_and_said(output: Any, told: str) -> None:
    found = class_scores(HEAD, output, frames=4)
    assert found.logits is None
    assert said(told, found.note)


def test_classes_of_their_own_have_probabilities_of_their_own() -> None:
    multi = nn.Sequential(nn.Linear(3, 7), nn.Sigmoid())
    found = class_scores(multi, Z.sigmoid(), frames=4)
    assert found.independent and "probability of its own" in found.note
    torch.testing.assert_close(found.logits.sigmoid(), Z.sigmoid().mean(0))
    one = class_scores(nn.Linear(3, 1), torch.tensor([[0.25]]), frames=4)
    assert one.independent and "sigmoid" in one.note


@pytest.mark.parametrize(
    ("choice", "want"),
    [("aux", Z[1]), (1, Z[1]), ("deep.0", Z[2]), (lambda output: output["deep"][0], Z[2])],
)
def test_output_chooses(choice: Any, want: Tensor) -> None:
    output = {"logits": Z[:1], "aux": Z[1:2], "deep": [Z[2:3]]}
    assert torch.equal(class_scores(HEAD, output, frames=1, choice=choice).logits, want)


@pytest.mark.parametrize(
    ("choice", "told"),
    [
        ("logit", "did you mean 'logits'"),
        (5, "the output has no 5"),
        ("picture", r"one score per class.*\(1, 21, 5, 6\)"),
        (lambda output: 3, "is an int without tensors"),
    ],
)
def test_a_choice_that_is_none_is_refused(choice: Any, told: str) -> None:
    output = {"logits": Z[:1], "picture": PICTURE}
    with pytest.raises(NlvizError, match=told):
        class_scores(HEAD, output, frames=1, choice=choice)


class Two(nn.Module):
    """Returns a dict of two vectors of scores, and what a segmentation would."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.nl = nn.Conv2d(3, 6, 8, 8), nlviz.NonLocalBlock(6, dimension=2)
        self.head, self.aux = nn.Linear(6, 7), nn.Linear(6, 11)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        y = self.nl(self.conv(x))
        pooled = y.mean((2, 3))
        return {"map": y, "aux": self.aux(pooled), "logits": self.head(pooled)}


def test_a_capture_logits_and_attribution_take_the_same_scores() -> None:
    clip, spec = noise_clip(2, 32, 48), InputSpec(size=32, multiple=8, layout="frames")
    net = Two().eval()
    for output, classes in ((None, 7), ("aux", 11)):
        model = Model(net, input_spec=spec, output=output)
        shot = model.capture(clip)
        assert shot.logits.shape == (classes,)
        assert torch.equal(model.logits(clip), shot.logits)
        found = nlviz.attribution(model, shot, target=3)
        assert found.score == pytest.approx(float(shot.logits[3]))
        assert any("mean over 2 frames" in note for note in shot.notes)
    assert nlviz.capture(net, clip, input_spec=spec, output="aux").logits.shape == (11,)
