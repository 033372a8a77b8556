"""Clips and captures of the tests of render, here as well."""

from tests.render.conftest import capture as capture
from tests.render.conftest import clip as clip
