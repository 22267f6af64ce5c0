# Two commands on a fresh machine with Python >= 3.11, git and make: `make quickstart` and `make test`.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOCAL := $(VENV)/.installed-local
DEV := $(VENV)/.installed-dev

.PHONY: quickstart test check strudel schema bench lock clean

quickstart: $(LOCAL)
	@if command -v npm >/dev/null 2>&1; then $(BIN)/polytune grader build strudel \
	  || echo "the Strudel engine could not be built; the Python checker judges instead" >&2; \
	else echo "npm is not installed; the Python checker judges instead of the Strudel engine" >&2; fi
	$(BIN)/polytune run experiments/quickstart.yaml

strudel: $(LOCAL)
	$(BIN)/polytune grader build strudel

test: $(LOCAL) $(DEV) check
	$(BIN)/pytest -n 2 --dist loadgroup

check: $(DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The two published schemas, after a spec or the manifest has changed.
schema: $(LOCAL)
	$(BIN)/polytune schema > experiments/experiment.schema.json
	$(BIN)/polytune schema --manifest > docs/manifest.schema.json

bench: $(LOCAL) $(DEV)
	$(BIN)/python tests/benchmarks/bench_rows.py
	$(BIN)/python tests/benchmarks/bench_noop.py
	$(BIN)/python tests/benchmarks/bench_big_input.py

# pip alone finds a CPU build of torch where one is at hand, so it installs; nothing else is needed.
$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "polytune needs Python 3.11 or newer")'
	$(PYTHON) -m venv $(VENV)

$(LOCAL): pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[local]'
	touch $@

$(DEV): pyproject.toml $(LOCAL) | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[local,dev]'
	touch $@

# Exact versions with hashes and without registry addresses, for installs that must be reproducible.
lock: $(DEV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'uv>=0.9,<1'
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-emit-find-links --no-header --no-annotate --extra dev pyproject.toml -o requirements.lock

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
