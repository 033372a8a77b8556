"""Language models of transformers: a text as their own tokenizer cuts it, rows as they compute."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import nlviz
from nlviz.errors import NlvizError
from tests.families.small_video_language import TINY_TEXT, small_tokenizer

tr = pytest.importorskip("transformers")
TEXT = "What is the dog doing? Ein 犬 läuft"
_BERT = {"num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 20}
_BERT |= {"hidden_size": 24, "vocab_size": 400}
_BOTH = {
    "d_model": 24, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 3,
    "decoder_attention_heads": 2, "encoder_ffn_dim": 20, "decoder_ffn_dim": 22, "vocab_size": 400,
    "decoder_start_token_id": 2, "eos_token_id": 2, "bos_token_id": 1, "pad_token_id": 0,
}  # fmt: skip
_T5 = {"d_model": 24, "d_kv": 8, "d_ff": 20, "num_layers": 2, "num_heads": 3, "vocab_size": 400}
_GPT2 = {"n_embd": 24, "n_layer": 2, "n_head": 3, "n_positions": 64, "vocab_size": 400}
_ENDS = {"bos_token_id": 1, "eos_token_id": 2}

BUILT: dict[str, Callable[[], Any]] = {
    "gpt2": lambda: tr.GPT2LMHeadModel(tr.GPT2Config(**_GPT2, **_ENDS)),
    "llama": lambda: tr.LlamaForCausalLM(tr.LlamaConfig(**TINY_TEXT)),
    "mistral": lambda: tr.MistralForCausalLM(tr.MistralConfig(**TINY_TEXT, sliding_window=5)),
    "bert": lambda: tr.BertForMaskedLM(tr.BertConfig(**_BERT)),
    "t5": lambda: tr.T5ForConditionalGeneration(
        tr.T5Config(**_T5, decoder_start_token_id=0, eos_token_id=1, pad_token_id=0)
    ),
    "bart": lambda: tr.BartForConditionalGeneration(tr.BartConfig(**_BOTH)),
}


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    level = tr.logging.get_verbosity()
    tr.logging.set_verbosity_error()
    yield
    tr.logging.set_verbosity(level)


def built(name: str) -> Any:
    torch.manual_seed(0)
    return BUILT[name]().eval()


@pytest.mark.parametrize("name", sorted(BUILT))
def test_rows_are_those_of_eager_attention(name: str) -> None:
    net, tokenizer = built(name), small_tokenizer(marks=name == "bert")
    found = nlviz.capture(net, nlviz.read_text(TEXT), processor=tokenizer)
    ids = tokenizer(TEXT, return_tensors="pt")["input_ids"]
    given = {"input_ids": ids}
    if name in ("t5", "bart"):
        start = net.config.decoder_start_token_id
        given["decoder_input_ids"] = torch.tensor([[start]])
    net.set_attn_implementation("eager")
    with torch.no_grad():
        out = net(**given, output_attentions=True)
    if name in ("t5", "bart"):
        pairs = [*out.encoder_attentions]
        for own, cross in zip(out.decoder_attentions, out.cross_attentions, strict=True):
            pairs += [own, cross]
    else:
        pairs = [*out.attentions]
    assert not found.refused
    assert len(found.affinities) == len(pairs)
    for affinity, rows in zip(found.affinities.values(), pairs, strict=True):
        assert affinity.queries.shape == (1, 1, rows.shape[2])
        assert affinity.keys.shape == (1, 1, rows.shape[3])
        assert torch.allclose(affinity.dense(), rows[0], atol=1e-5)


def test_tokens_are_called_as_the_characters_that_they_stand_for() -> None:
    found = nlviz.capture(
        built("bert"), nlviz.read_text(TEXT), processor=small_tokenizer(marks=True)
    )
    text = found.text
    assert text is found.clip and text is not None and text.text == TEXT
    assert text.tokens[:5] == ("<s>", "What", "is", "the", "dog")
    assert text.tokens[-1] == "</s>" and text.special == {0, len(text.tokens) - 1}
    assert text.spans[0] == (0, 0) and TEXT[slice(*text.spans[4])] == "dog"
    beast = TEXT.index("犬")
    bytes_of_it = [i for i, span in enumerate(text.spans) if span == (beast, beast + 1)]
    assert len(bytes_of_it) == 3 and len({text.tokens[i] for i in bytes_of_it}) == 3
    affinity = next(iter(found.affinities.values()))
    assert affinity.map(token="dog").word == "dog"


def test_what_a_network_writes_is_read_as_its_text() -> None:
    net, tokenizer = built("gpt2"), small_tokenizer()
    found = nlviz.capture(net, nlviz.read_text("What is"), processor=tokenizer, generate=4)
    ids = tokenizer("What is", return_tensors="pt")["input_ids"]
    with torch.no_grad():
        wanted = net.generate(ids, max_new_tokens=4, do_sample=False, pad_token_id=0)[0]
        scores = net(wanted[None]).logits[0, -1].softmax(-1)
    assert found.text is not None and len(found.text.tokens) == len(wanted)
    assert any("words 2 to" in note for note in found.notes)
    (label, share), *_ = found.prediction(1)
    assert share == pytest.approx(float(scores.max()), rel=1e-4)
    number = int(scores.argmax())
    assert label in (
        tokenizer.decode([number]),
        tokenizer.convert_ids_to_tokens(number),
        f"token {number}",
    )


def test_the_part_that_writes_looks_at_what_the_other_read() -> None:
    net, tokenizer = built("bart"), small_tokenizer()
    found = nlviz.capture(net, nlviz.read_text("What is the dog"), processor=tokenizer, generate=3)
    cross = found.affinities["model.decoder.layers.1.encoder_attn"]
    assert found.text is not None
    assert cross.keys.names == found.text.tokens[:4] == ("What", "is", "the", "dog")
    assert cross.queries.names == found.text.tokens[4:]
    own = found.affinities["model.decoder.layers.0.self_attn"]
    assert own.support.kind == "causal"


def test_a_word_that_is_masked_is_what_is_predicted() -> None:
    net, tokenizer = built("bert"), small_tokenizer(marks=True)
    found = nlviz.capture(net, nlviz.read_text("What is <mask> dog"), processor=tokenizer)
    ids = tokenizer("What is <mask> dog", return_tensors="pt")["input_ids"]
    at = int((ids[0] == tokenizer.mask_token_id).nonzero()[0])
    with torch.no_grad():
        wanted = net(ids).logits[0, at]
    assert found.logits is not None and torch.allclose(found.logits, wanted, atol=1e-5)
    named = {"num_labels": 3, "id2label": {0: "bad", 1: "fair", 2: "good"}}
    torch.manual_seed(0)
    judge = tr.BertForSequenceClassification(tr.BertConfig(**_BERT, **named)).eval()
    said = nlviz.capture(judge, nlviz.read_text("What is the dog"), processor=tokenizer)
    assert {label for label, _ in said.prediction(3)} == {"bad", "fair", "good"}


def test_a_folder_with_its_tokenizer_is_loaded(tmp_path: Path) -> None:
    net, tokenizer = built("gpt2"), small_tokenizer()
    net.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    model = nlviz.load_model(str(tmp_path))
    assert model.inputs == ("text",)
    found = model.capture(nlviz.read_text(TEXT))
    live = nlviz.capture(net, nlviz.read_text(TEXT), processor=tokenizer)
    for name, affinity in live.affinities.items():
        assert torch.allclose(found.affinities[name].dense(), affinity.dense(), atol=1e-6)


def test_what_cannot_be_read_is_refused_in_a_sentence() -> None:
    net, tokenizer = built("gpt2"), small_tokenizer()
    text = nlviz.read_text(TEXT)
    with pytest.raises(NlvizError, match=r"needs its tokenizer .* none came with it; .*processor="):
        nlviz.capture(net, text)
    with pytest.raises(NlvizError, match=r"takes 64 tokens at most, this text has"):
        nlviz.capture(net, nlviz.read_text("dog " * 99), processor=tokenizer)
    with pytest.raises(NlvizError, match=r"BertForMaskedLM only reads; leave it out"):
        nlviz.capture(built("bert"), text, processor=tokenizer, generate=2)
    with pytest.raises(NlvizError, match=r"queries= chooses words beside a clip"):
        nlviz.capture(net, text, processor=tokenizer, queries=["dog"])
    with pytest.raises(NlvizError, match=r"must be the tokenizer of the network"):
        nlviz.capture(net, text, processor="gpt2")


def test_a_folder_without_a_tokenizer_says_so(tmp_path: Path) -> None:
    from transformers import GPT2Config, GPT2LMHeadModel

    marks = {"bos_token_id": 1, "eos_token_id": 2}
    size = {"n_embd": 24, "n_layer": 1, "n_head": 3, "vocab_size": 40, "n_positions": 16}
    GPT2LMHeadModel(GPT2Config(**size, **marks)).save_pretrained(tmp_path)
    model = nlviz.load_model(str(tmp_path))
    with pytest.raises(NlvizError, match="holds no tokenizer for GPT2LMHeadModel; save it there"):
        model.capture(nlviz.read_text("dog"))
