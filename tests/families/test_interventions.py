"""Every family's rows are changed where they multiply the values, and nothing is left behind."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import nlviz
from nlviz.affinity.asked import rows_at
from nlviz.captures.model import Model
from nlviz.interventions import CutEdges, Rerun, Temperature, values_of
from tests.families.conformance import CLIP, INPUTS, LIVE, PROCESSORS, hooks, named

pytestmark = pytest.mark.slow


def captured(name: str) -> nlviz.Capture:
    net, spec = LIVE[name]()
    adapter: Any = named()[name].blocks
    if name in PROCESSORS:
        adapter = adapter.with_processor(PROCESSORS[name]())
    return Model(net, adapter=adapter, input_spec=spec).capture(INPUTS.get(name, lambda: CLIP)())


def strongest(capture: nlviz.Capture, block: str) -> tuple[int, Tensor]:
    """Return a query in the middle of a block, and its two strongest keys."""
    affinity = capture.affinities[block]
    query = affinity.queries.prefix + affinity.queries.size // 2
    row = rows_at(affinity, [query])[:, 0].float().abs().mean(0)
    keys = torch.zeros(len(row), dtype=torch.bool)
    keys[row.topk(2).indices] = True
    return query, keys


def state(net: nn.Module) -> tuple[Any, ...]:
    """Return all that a pass could leave in a network, but for its tensors."""
    return (
        hooks(net),
        [m.training for m in net.modules()],
        [sorted(m.__dict__) for m in net.modules()],
        torch.get_rng_state().tolist(),
    )


class Breaks(CutEdges):
    """Raises in the middle of a pass."""

    def changed(self, *args: Any) -> Tensor:
        raise KeyboardInterrupt


@pytest.mark.parametrize("name", LIVE)
def test_a_cut_acts_where_rows_multiply_the_values(name: str) -> None:
    capture = captured(name)
    net = capture.model.net
    net.train()  # a network is left in the mode that it was in
    before = state(net)
    tensors = {n: t.clone() for n, t in net.state_dict().items()}
    block = [*capture.affinities][-1]
    query, keys = strongest(capture, block)
    with Rerun(capture) as rerun:
        plain = rerun.run()
        found = rerun.run(CutEdges(block, (query,), keys))
        with pytest.raises(KeyboardInterrupt):
            rerun.run(Breaks(block, (query,), keys))
        again = rerun.run(CutEdges(block, (query,), keys))
    if capture.logits is not None:
        assert torch.equal(plain.logits, capture.logits)  # type: ignore[arg-type]
        assert torch.equal(found.logits, again.logits)  # type: ignore[arg-type]
    edited = found.edited[block]
    assert edited.numbers.tolist() == [query]
    shown = rows_at(capture.affinities[block], [query]).float()
    torch.testing.assert_close(edited.rows_before, shown, atol=1e-5, rtol=1e-4)
    assert not edited.rows[..., keys].any()
    kept = shown.masked_fill(keys, 0.0)
    if capture.affinities[block].pairwise.softmax:
        kept = kept / kept.sum(-1, keepdim=True).clamp(min=1e-30) * shown.sum(-1, keepdim=True)
    torch.testing.assert_close(edited.rows, kept, atol=1e-5, rtol=1e-4)
    values = values_of(capture, block)[block]
    scale = float(edited.y_before.abs().max())
    off = float((edited.y - edited.rows @ values).abs().max())
    assert off <= 1e-5 * scale
    assert state(net) == before
    assert all(torch.equal(t, tensors[n]) for n, t in net.state_dict().items())


@pytest.mark.parametrize("name", ["recall", "timm-vit", "slowfast", "language"])
def test_two_threads_on_one_network_never_mix(name: str) -> None:
    capture = captured(name)
    block = next(iter(capture.affinities))
    query, keys = strongest(capture, block)
    changes = [CutEdges(block, (query,), keys), CutEdges(block, None, ~keys)]
    alone = [Rerun(capture).run(change) for change in changes]
    found: dict[tuple[int, int], Tensor] = {}

    def run(i: int) -> None:
        rerun = Rerun(capture)
        for turn in range(3):
            logits = rerun.run(changes[i]).logits
            assert logits is not None
            found[i, turn] = logits

    threads = [threading.Thread(target=run, args=(i,)) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 6
    assert all(torch.equal(x, alone[i].logits) for (i, _), x in found.items())  # type: ignore[arg-type]
    assert not torch.equal(alone[0].logits, alone[1].logits)  # type: ignore[arg-type]


def test_a_language_model_is_cut_as_by_its_own_mask() -> None:
    capture = captured("language")
    net = capture.model.net
    size = capture.affinities["transformer.h.0.attn"].keys.size
    query, cut = size - 1, [1, 3]
    keys = torch.zeros(size, dtype=torch.bool)
    keys[cut] = True
    with Rerun(capture) as rerun:
        found = rerun.run(*(CutEdges(n, (query,), keys) for n in capture.affinities)).logits
    reach = torch.ones(size, size, dtype=torch.bool).tril()
    reach[query, cut] = False
    mask = torch.zeros(1, 1, size, size).masked_fill(~reach, torch.finfo(torch.float32).min)
    ids = capture.model.prepared(capture.clip).kwargs["input_ids"]
    with torch.no_grad():
        expected = net(input_ids=ids, attention_mask=mask).logits[0, -1]
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)
    assert not torch.allclose(expected, capture.logits, atol=1e-5)  # type: ignore[arg-type]


def test_temperatures_of_all_layers_are_those_of_queries_divided_by_it() -> None:
    """Each layer's rows are of what enters it in this pass, not of what entered it before."""
    import transformers as tr

    torch.manual_seed(0)
    sizes = {"n_embd": 24, "n_layer": 3, "n_head": 3, "n_positions": 64, "vocab_size": 400}
    net = tr.GPT2LMHeadModel(tr.GPT2Config(**sizes, bos_token_id=1, eos_token_id=2)).eval()
    for p in net.parameters():
        p.data.mul_(12 if p.dim() > 1 else 1)
    adapter: Any = named()["language"].blocks
    model = Model(net, adapter=adapter.with_processor(PROCESSORS["language"]()))
    capture = model.capture(INPUTS["language"]())
    found = Rerun(capture).run(*(Temperature(n, 2.0) for n in capture.affinities)).logits
    for layer in net.transformer.h:
        layer.attn.c_attn.weight.data[:, :24] /= 2
        layer.attn.c_attn.bias.data[:24] /= 2
    expected = model.logits(capture.clip)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(expected, capture.logits, atol=0.1)  # type: ignore[arg-type]
