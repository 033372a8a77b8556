# Everything installs into .venv; a fresh machine needs Python 3.11 or newer and nothing else.
PYTHON ?= python3
BIN := .venv/bin
# Tests that do not mind a neighbour; the others drive a browser, or measure time and memory.
SIDE_BY_SIDE := tests/families tests/zoo tests/affinity tests/networks tests/analysis tests/originals tests/denoise nlviz

.PHONY: install app test bench lint clean

install: .venv/installed

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[dev]"
	touch $@

# Other people's code, against which the tests compare; apart, as some of it would replace cv2.
.venv/originals/installed: tests/originals/requirements.txt .venv/installed
	rm -rf .venv/originals
	$(BIN)/python -m pip install --quiet --no-deps --target .venv/originals -r $<
	touch $@

app: install
	$(BIN)/nlviz app

# Peers that a user installs on request, as one of them forbids commercial use.
.venv/peers: .venv/installed
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[dev,denoise]"
	touch $@

# Type checker and linter of the browser's modules; they only check, so that tests go on without npm.
.venv/node/installed: package.json .venv/installed
	mkdir -p .venv/node && cp package.json .venv/node/
	if command -v npm > /dev/null; then \
	  npm install --prefix .venv/node --silent --no-audit --no-fund --no-package-lock; \
	else echo "no npm here: types and lint of the browser's modules are not checked"; fi
	touch $@

test quick: .venv/node/installed

test: install .venv/peers .venv/originals/installed lint
	$(BIN)/python -m tests.chromium
	$(BIN)/python -m pytest -n 2 --dist loadfile $(SIDE_BY_SIDE)
	$(BIN)/python -m pytest $(addprefix --ignore=,$(SIDE_BY_SIDE))

bench: install .venv/peers
	$(BIN)/python -m tests.benchmarks

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache dist
