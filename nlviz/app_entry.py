"""The script that Streamlit runs: it starts the app's page from a checkout or a wheel alike."""

from nlviz.resources import app_module

app_module("main").run()
