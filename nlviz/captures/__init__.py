"""One forward pass, kept: models, captures and their files."""
