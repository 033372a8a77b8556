"""How each bundled weight file was trained: ``python -m nlviz.recipes.NAME``."""
