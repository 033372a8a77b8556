"""What the catalogue says that a network is given is what the network takes."""

from __future__ import annotations

import pytest

import nlviz
from nlviz.zoo.cards import CARDS, inputs_of

BUNDLED = [name for name, card in CARDS.items() if card.weights]


@pytest.mark.slow
@pytest.mark.parametrize("name", BUNDLED)
def test_a_card_says_what_its_network_takes(name: str) -> None:
    model = nlviz.load_model(name, device="cpu")
    assert set(model.inputs) == set(inputs_of(name) or ())
    example = CARDS[name].example
    assert bool(example) == ("text" in model.inputs)
    if model.inputs == ("text",):
        assert model.capture(nlviz.read_text(example)).affinities
