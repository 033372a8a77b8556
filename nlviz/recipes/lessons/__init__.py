"""Computes what lessons show: ``python -m nlviz.recipes.lessons [NAME ...]``.

One module a lesson, named after it, whose ``make()`` returns the bytes of ``data.safetensors``: a
container (see ``nlviz.web.payloads.container``) with the figures that texts quote under "numbers".
"""
