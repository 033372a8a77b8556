"""Norms of tokens in each layer, with their histogram and where the longest lie."""

from __future__ import annotations

from functools import partial

import streamlit as st

import nlviz

from ...shared import bars
from .asked import Asked, Load
from .working import computed

BINS = 24
ABREAST = 2  # layers beside one another


def draw(asked: Asked) -> None:
    """Draw the norms of all layers' tokens, on a click."""
    if asked.model is None or isinstance(asked.capture.clip, (nlviz.Text, nlviz.Graph)):
        return
    found = computed(
        ("token norms", *asked.key[:-2]),
        "Norms of tokens in every layer",
        partial(_measured, asked.model, asked.capture.clip),
        help="One forward pass; where tokens lie is followed once for all layers of a kind",
    )
    if found is None:
        return
    sentence = nlviz.words.on_a_page(nlviz.words.norms_sentence(found))
    st.markdown(sentence, help=nlviz.words.NORMS_RULE)
    layers = list(found.values())
    for first in range(0, len(layers), ABREAST):
        places = st.columns(ABREAST, gap="medium")
        for place, of in zip(places, layers[first : first + ABREAST], strict=False):
            with place:
                _layer(of)
    for name, why in found.refused.items():
        st.caption(f"{name}: {why}")


def _measured(model: Load, clip: nlviz.Clip, progress: nlviz.Progress) -> nlviz.TokenNorms:
    return nlviz.token_norms(model(), clip, progress=progress)


def _layer(of: nlviz.LayerNorms) -> None:
    st.markdown(f"**{of.layer}** &nbsp; longest {of.largest:.1f}× the median")
    heights, labels, texts = nlviz.words.histogram_texts(of, BINS)
    bars.columns(heights, labels, texts, own=-1, about=f"Norms of the tokens of {of.layer}.")
