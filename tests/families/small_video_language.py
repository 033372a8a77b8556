"""Small models of pictures and words with random weights, and processors made here.

Nothing is downloaded: the vocabulary are bytes and a few words, in the form of ``tokenizers``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

_WORDS = ("What", "Ġdog", "Ġis", "Ġthe", "Ġdo")
_MARKS = (
    *("<|im_start|>", "<|im_end|>", "<image>", "<video>", "<|vision_start|>", "<|vision_end|>"),
    *("<|image_pad|>", "<|video_pad|>", "<fake_token_around_image>", "<global-img>"),
    *("<end_of_utterance>", "<IMG_CONTEXT>", "<img>", "</img>", "<start_of_image>"),
    *("<end_of_image>", "<image_soft_token>"),
    *(f"<row_{i}_col_{j}>" for i in range(1, 4) for j in range(1, 4)),
)
_CHAT = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{% for c in m['content'] %}"
    "{% if c['type'] == 'text' %}{{ c['text'] }}{% elif c['type'] == 'image' %}IMAGE"
    "{% elif c['type'] == 'video' %}VIDEO{% endif %}{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_TEXT = {
    "hidden_size": 32,
    "intermediate_size": 40,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 400,
    "max_position_embeddings": 4096,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
_SEES = {"hidden_size": 24, "intermediate_size": 20, "num_attention_heads": 3}
TINY_TEXT = dict(_TEXT)


def small_tokenizer(*, marks: bool = False, **names: str) -> Any:
    """Return a tokenizer of bytes and a few words.

    Args:
        marks: whether a text begins with ``<s>`` and ends with ``</s>``.
        names: of tokens that some processors ask for, ``image_token`` for instance.
    """
    from transformers import PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary, merges = {c: i for i, c in enumerate(letters)}, []
    for word in _WORDS:
        for n in range(1, len(word)):
            merges.append((word[:n], word[n]))
            vocabulary.setdefault(word[: n + 1], len(vocabulary))
    rules = Tokenizer(models.BPE(vocab=vocabulary, merges=list(dict.fromkeys(merges))))
    rules.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    rules.decoder = decoders.ByteLevel()
    found = PreTrainedTokenizerFast(
        tokenizer_object=rules,
        **{f"{n}_token": f"<{t}>" for n, t in {"bos": "s", "pad": "pad", "unk": "unk"}.items()},
        eos_token="</s>",
        mask_token="<mask>",
        extra_special_tokens=names or None,
    )
    there = found.get_vocab()
    found.add_special_tokens(
        {"additional_special_tokens": [m for m in _MARKS if m not in there]},
        replace_extra_special_tokens=False,
    )
    if marks:
        ends = [(t, found.convert_tokens_to_ids(t)) for t in ("<s>", "</s>")]
        found.backend_tokenizer.post_processor = processors.TemplateProcessing(
            single="<s> $A </s>", pair=None, special_tokens=ends
        )
    return found


def _chat(image: str, video: str) -> str:
    return _CHAT.replace("IMAGE", image).replace("VIDEO", video)


def qwen(
    kind: str, *, language: Mapping[str, Any] | None = None, section: Sequence[int] = (2, 1, 1)
) -> tuple[Any, Any]:
    """Return a network of Qwen's and its processor.

    Args:
        kind: which of them, ``Qwen2_5_VL`` for instance.
        language: sizes of its language model other than the usual small ones.
        section: how its positions share the numbers of a head.
    """
    import transformers as tr

    words = small_tokenizer()
    width = (language or _TEXT)["hidden_size"]
    number = words.convert_tokens_to_ids
    tokens = {
        "image_token_id": number("<|image_pad|>"),
        "video_token_id": number("<|video_pad|>"),
        "vision_start_token_id": number("<|vision_start|>"),
        "vision_end_token_id": number("<|vision_end|>"),
    }
    patches = {"patch_size": 4, "spatial_merge_size": 2, "temporal_patch_size": 2}
    rope: dict[str, Any] = {
        "rope_type": "default",
        "mrope_section": list(section),
        "rope_theta": 1e4,
    }
    sees: Mapping[str, Any]
    own: dict[str, Any] = {}
    if kind == "Qwen2_5_VL":
        sees = {"depth": 3, "hidden_size": 24, "num_heads": 3, "intermediate_size": 20}
        sees = {**sees, "out_hidden_size": width, "window_size": 16, "fullatt_block_indexes": [2]}
    elif kind == "Qwen2VL":
        sees = {"depth": 2, "embed_dim": 24, "num_heads": 3, "mlp_ratio": 2, "hidden_size": 32}
    else:
        sees = {"depth": 3, "hidden_size": 24, "num_heads": 3, "intermediate_size": 20}
        sees = {**sees, "out_hidden_size": 32, "num_position_embeddings": 36}
        sees = {**sees, "deepstack_visual_indexes": [0, 1]}
        own, rope = {"head_dim": 8}, {**rope, "mrope_interleaved": True}
    config = getattr(tr, f"{kind}Config")(
        text_config={**_TEXT, **own, **(language or {}), "rope_parameters": rope},
        vision_config={**sees, **patches},
        **tokens,
    )
    sizes = {"patch_size": 4, "merge_size": 2, "temporal_patch_size": 2}
    video = tr.Qwen3VLVideoProcessor if kind == "Qwen3VL" else tr.Qwen2VLVideoProcessor
    processor = getattr(tr, f"{kind}Processor")(
        image_processor=tr.Qwen2VLImageProcessor(
            **sizes, size={"shortest_edge": 64, "longest_edge": 40000}
        ),
        video_processor=video(
            **sizes, size={"shortest_edge": 64, "longest_edge": 400000}, cap_pixels_per_frame=False
        ),
        tokenizer=words,
        chat_template=_chat(
            *(f"<|vision_start|><|{n}_pad|><|vision_end|>" for n in ("image", "video"))
        ),
    )
    return getattr(tr, f"{kind}ForConditionalGeneration")(config), processor


def _sees(kind: str, size: int, layers: int = 2, **given: Any) -> dict[str, Any]:
    name = f"{kind}_vision_model"
    return {
        **_SEES, "model_type": name, "num_hidden_layers": layers, "image_size": size,
        "patch_size": 4, **given,
    }  # fmt: skip


def _llava(kind: str) -> tuple[Any, Any]:
    import transformers as tr

    words = small_tokenizer()
    image, video = (words.convert_tokens_to_ids(t) for t in ("<image>", "<video>"))
    tokens = {"image_token_id": image, "video_token_id": video}
    tokens |= {"image_token_index": image, "video_token_index": video}
    chat = _chat("<image>\n", "<video>\n")
    if kind == "LlavaNextVideo":
        grids = [[24, 48], [48, 24], [48, 48]]
        sees, side = _sees("clip", 24, 3, projection_dim=24), 24
        own: dict[str, Any] = {"image_grid_pinpoints": grids, "spatial_pool_stride": 2}
        size: dict[str, Any] = {
            "size": {"shortest_edge": side}, "crop_size": {"height": side, "width": side}
        }  # fmt: skip
        parts = {
            "image_processor": tr.LlavaNextImageProcessor(**size, image_grid_pinpoints=grids),
            "video_processor": tr.LlavaNextVideoVideoProcessor(**size),
            "num_additional_image_tokens": 1,
            "patch_size": 4,
            "vision_feature_select_strategy": "default",
        }
    elif kind == "LlavaOnevision":
        grids = [[20, 40], [40, 20], [40, 40]]
        sees, side = _sees("siglip", 20, 3), 20
        own = {
            "image_grid_pinpoints": grids, "vision_feature_select_strategy": "full",
            "vision_feature_layer": -1,
        }  # fmt: skip
        size = {"size": {"height": side, "width": side}}
        parts = {
            "image_processor": tr.LlavaOnevisionImageProcessor(**size, image_grid_pinpoints=grids),
            "video_processor": tr.LlavaOnevisionVideoProcessor(**size),
            "num_image_tokens": 25,
            "vision_feature_select_strategy": "full",
        }
    else:
        sees, side = _sees("clip", 20, 3, projection_dim=24), 20
        own = {"image_seq_length": 25, "video_seq_length": 100}
        size = {"size": {"shortest_edge": side}, "crop_size": {"height": side, "width": side}}
        parts = {
            "image_processor": tr.VideoLlavaImageProcessor(**size),
            "video_processor": tr.VideoLlavaVideoProcessor(**size),
            "num_additional_image_tokens": 1,
            "patch_size": 4,
            "vision_feature_select_strategy": "default",
        }
    text = {**_TEXT, "model_type": "qwen2" if kind == "LlavaOnevision" else "llama"}
    config = getattr(tr, f"{kind}Config")(vision_config=sees, text_config=text, **tokens, **own)
    processor = getattr(tr, f"{kind}Processor")(tokenizer=words, chat_template=chat, **parts)
    return getattr(tr, f"{kind}ForConditionalGeneration")(config), processor


def _smol(kind: str) -> tuple[Any, Any]:
    import transformers as tr

    words = small_tokenizer()
    config = getattr(tr, f"{kind}Config")(
        vision_config={**_SEES, "num_hidden_layers": 2, "image_size": 24, "patch_size": 4},
        text_config={**_TEXT, "model_type": "llama"},
        image_token_id=words.convert_tokens_to_ids("<image>"),
        scale_factor=2,
        pad_token_id=0,
    )
    size = {"size": {"longest_edge": 48}, "max_image_size": {"longest_edge": 24}}
    parts = {"image_processor": getattr(tr, f"{kind}ImageProcessor")(**size)}
    if kind == "SmolVLM":
        parts["video_processor"] = tr.SmolVLMVideoProcessor(**size)
    processor = getattr(tr, f"{kind}Processor")(
        tokenizer=words, image_seq_len=9, chat_template=_chat("<image>", "<video>"), **parts
    )
    return getattr(tr, f"{kind}ForConditionalGeneration")(config), processor


def _internvl() -> tuple[Any, Any]:
    import transformers as tr

    words = small_tokenizer(
        start_image_token="<img>", end_image_token="</img>", context_image_token="<IMG_CONTEXT>",
        video_token="<video>",
    )  # fmt: skip
    config = tr.InternVLConfig(
        vision_config={
            **_SEES, "num_hidden_layers": 2, "image_size": [24, 24], "patch_size": [4, 4]
        },
        text_config={**_TEXT, "model_type": "qwen2"},
        image_token_id=words.convert_tokens_to_ids("<IMG_CONTEXT>"),
        downsample_ratio=0.5,
        vision_feature_layer=-1,
    )  # fmt: skip
    size = {"size": {"height": 24, "width": 24}}
    processor = tr.InternVLProcessor(
        image_processor=tr.GotOcr2ImageProcessor(**size, min_patches=1, max_patches=4),
        video_processor=tr.InternVLVideoProcessor(**size),
        tokenizer=words,
        image_seq_length=9,
        chat_template=_chat("<IMG_CONTEXT>\n", "<video>\n"),
    )
    return tr.InternVLForConditionalGeneration(config), processor


def _paligemma() -> tuple[Any, Any]:
    import transformers as tr

    words = small_tokenizer(image_token="<image>")
    number = words.convert_tokens_to_ids("<image>")
    config = tr.PaliGemmaConfig(
        vision_config=_sees("siglip", 20),
        text_config={**_TEXT, "model_type": "gemma", "head_dim": 8},
        image_token_index=number,
        image_token_id=number,
        projection_dim=32,
        hidden_size=32,
    )
    image = tr.SiglipImageProcessor(size={"height": 20, "width": 20})
    image.image_seq_length = 25
    processor = tr.PaliGemmaProcessor(image_processor=image, tokenizer=words)
    return tr.PaliGemmaForConditionalGeneration(config), processor


def _gemma3() -> tuple[Any, Any]:
    import transformers as tr

    words = small_tokenizer(
        image_token="<image_soft_token>", boi_token="<start_of_image>", eoi_token="<end_of_image>"
    )
    names = ("image_soft_token", "start_of_image", "end_of_image")
    image, begin, end = (words.convert_tokens_to_ids(f"<{n}>") for n in names)
    config = tr.Gemma3Config(
        vision_config=_sees("siglip", 24, vision_use_head=False),
        text_config={
            **_TEXT, "head_dim": 8, "sliding_window": 16,
            "layer_types": ["sliding_attention", "full_attention"],
        },
        image_token_index=image,
        image_token_id=image,
        boi_token_index=begin,
        eoi_token_index=end,
        mm_tokens_per_image=9,
    )  # fmt: skip
    processor = tr.Gemma3Processor(
        image_processor=tr.Gemma3ImageProcessor(size={"height": 24, "width": 24}),
        tokenizer=words,
        image_seq_length=9,
        chat_template=_chat("<start_of_image>", "<start_of_image>"),
    )
    return tr.Gemma3ForConditionalGeneration(config), processor


BUILT: dict[str, Callable[[], tuple[Any, Any]]] = {
    "qwen2.5-vl": lambda: qwen("Qwen2_5_VL"),
    "qwen2-vl": lambda: qwen("Qwen2VL"),
    "qwen3-vl": lambda: qwen("Qwen3VL"),
    "llava-next-video": lambda: _llava("LlavaNextVideo"),
    "llava-onevision": lambda: _llava("LlavaOnevision"),
    "video-llava": lambda: _llava("VideoLlava"),
    "smolvlm": lambda: _smol("SmolVLM"),
    "idefics3": lambda: _smol("Idefics3"),
    "internvl": _internvl,
    "paligemma": _paligemma,
    "gemma3": _gemma3,
}


def small_video_language(name: str) -> tuple[Any, Any]:
    """Return a network in eval mode, always with the same weights, and its processor."""
    torch.manual_seed(0)
    net, processor = BUILT[name]()
    with torch.no_grad():
        for weight in net.parameters():
            if weight.dim() > 1 and not weight.any():  # as some projections begin
                weight.normal_(std=0.2)
    return net.eval(), processor
