# Everything installs into .venv; a fresh machine needs Python 3.11 or newer and nothing else.
PYTHON ?= python3
BIN := .venv/bin
# uv takes a quarter of pip's time, but reads no settings of pip: where it finds nothing, pip does it.
INSTALL = sh -c '$(BIN)/uv pip install --quiet --python $(BIN)/python "$$@" \
  || $(BIN)/python -m pip install --quiet "$$@"' install
# What must be there before the tests is made side by side.
MAKEFLAGS += --jobs=2
# What one process has compiled is kept for the hundreds that import the same.
unexport PYTHONDONTWRITEBYTECODE
# Each worker keeps a file to itself, with a browser and a server of its own. Three on two cores: who
# drives a browser waits for much of the time.
WORKERS ?= 3
PYTEST = $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

.PHONY: install app quick test long browser chromium compiled docs lint bench fiftyone clean

install: .venv/installed

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -c constraints.txt uv
	$(INSTALL) -c constraints.txt -e ".[dev]"
	touch $@

# Other people's code, against which the tests compare; apart, as some of it would replace cv2.
.venv/originals/installed: tests/originals/requirements.txt .venv/installed
	rm -rf .venv/originals
	$(INSTALL) --no-deps --target .venv/originals -r $<
	touch $@

app: install
	$(BIN)/nlviz app

# What a user installs on request: transformers, Ray, and peers, one of which forbids commercial use.
.venv/peers: .venv/installed
	$(INSTALL) -c constraints.txt -e ".[dev,denoise,hf,ray,rerun,loggers]"
	touch $@

# Type checker and linter of the browser's modules; they only check, so that tests go on without npm.
.venv/node/installed: tests/web/package.json .venv/installed
	mkdir -p .venv/node && cp $< .venv/node/
	if command -v npm > /dev/null; then \
	  npm install --prefix .venv/node --silent --no-audit --no-fund --no-package-lock; \
	else echo "no npm here: types and lint of the browser's modules are not checked"; fi
	touch $@

test quick: .venv/node/installed

# Under a minute: no browser, no wheel, nobody else's code, no doctests.
quick: WORKERS := 2
quick: install
	$(PYTEST) -m "not (browser or wheel or slow or long)" $(addprefix --ignore=tests/,originals browser app) tests

# Everything that is asserted.
test: install lint .venv/peers .venv/originals/installed chromium compiled
	$(PYTEST)

# A quarter of an hour: a survey of a thousand clips that is killed and goes on, and Ray.
long: install .venv/peers
	$(BIN)/python -m pytest -m long --timeout=3600 tests

browser: chromium
	$(PYTEST) -m browser tests

chromium: install
	$(BIN)/python -m tests.chromium

# Imports all that is tested and compiles the kernels, once: the workers and their servers find both.
compiled: .venv/peers .venv/originals/installed
	-$(BIN)/python -m pytest --collect-only -q > /dev/null
	$(BIN)/python -c "import nlviz; nlviz.denoise.warm_up()"

# FiftyOne wants older versions of what we have: an environment of its own, with ours behind it.
.venv/fiftyone/installed: .venv/installed
	$(PYTHON) -m venv .venv/fiftyone
	.venv/fiftyone/bin/python -m pip install --quiet "fiftyone>=1.22"
	$(BIN)/python -c "import sysconfig; print(sysconfig.get_path('purelib'))" \
	  > $$(.venv/fiftyone/bin/python -c "import sysconfig; print(sysconfig.get_path('purelib'))")/zz-ours.pth
	touch $@

fiftyone: .venv/fiftyone/installed
	FIFTYONE_DO_NOT_TRACK=1 FIFTYONE_DATABASE_DIR=$(CURDIR)/.venv/fiftyone/db \
	  .venv/fiftyone/bin/python -m pytest tests/render/test_fiftyone.py

bench: install .venv/peers
	$(BIN)/python -m tests.benchmarks

docs: install
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet -f docs/site/mkdocs.yml

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache dist
