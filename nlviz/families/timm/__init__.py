"""timm's transformers and non-local blocks."""
