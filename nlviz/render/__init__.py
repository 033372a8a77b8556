"""Turning maps into pictures, films, pages and files; ``live_view`` draws in the browser."""
