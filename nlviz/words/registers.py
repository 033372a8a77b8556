"""What a register at test time changes, in words."""

from __future__ import annotations

from collections.abc import Mapping

from nlviz.captures.token_norms import LayerNorms
from nlviz.interventions.registers import TestTimeRegister
from nlviz.sentences import counted, fixed
from nlviz.words.health import Line
from nlviz.words.numbers import multiple_text

REGISTER_RULE = (
    "One more, empty token passes through the layers. At each of the neurons that are most active "
    "at the longest tokens, the activation of largest size goes to it and is 0 at all others; the "
    "token is dropped behind the last layer (Jiang et al. 2025, arXiv 2506.08010)."
)


def register_sentence(
    before: Mapping[str, LayerNorms],
    after: Mapping[str, LayerNorms],
    register: TestTimeRegister,
) -> str:
    """Return in a sentence whether the longest tokens became shorter.

    Args:
        before: norms of tokens without the register, by layer.
        after: with it.
        register: the register.
    """
    layers = [name for name in before if name in after]
    longest = max(layers, key=lambda name: before[name].largest)
    one, other = before[longest].largest, after[longest].largest
    moved = counted(len(register.neurons), "neuron")
    if other > 0.9 * one:
        return (
            f"Moving {moved} to a register changes little: the longest token of {longest} is "
            f"{multiple_text(one)} its median without it and {multiple_text(other)} with it."
        )
    return (
        f"With a register that takes {moved} the longest token of {longest} is "
        f"{multiple_text(other)} the median, in the place of {multiple_text(one)}."
    )


def register_lines(register: TestTimeRegister, most: int = 5) -> list[Line]:
    """Return the neurons that are moved, the most active first.

    >>> from nlviz.interventions.registers import Neuron
    >>> neurons = (Neuron("blocks.3.mlp.fc2", 17, 9.0, 0.5),)
    >>> line, = register_lines(TestTimeRegister("blocks.0", "blocks.5", 1, neurons))
    >>> line.value, line.label
    ('9.0', 'is neuron 17 of blocks.3.mlp.fc2 at the longest tokens, 0.5 at others')
    """
    return [
        Line(
            fixed(neuron.at, 1),
            f"is neuron {neuron.number} of {neuron.layer} at the longest tokens, "
            f"{fixed(neuron.elsewhere, 1)} at others",
            help="Mean size of its activation, behind the activation function",
        )
        for neuron in register.neurons[:most]
    ]
