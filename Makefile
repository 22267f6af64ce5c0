# Two commands on a fresh machine with Python 3.11 or newer, git and make: `make quickstart` and `make test`.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
PIP_INSTALL := -m pip install --quiet --disable-pip-version-check
# All but `semantic`, whose packages are large and which no test needs.
EXTRAS := local,rehearsal,dedupe,lint,huggingface,dev
COMMA := ,

.PHONY: quickstart test test-slow check wheel pythons strudel schema bench lock test-newest test-oldest venv clean

quickstart: $(INSTALLED)
	@if command -v npm >/dev/null 2>&1; then $(BIN)/polytune grader build strudel \
	  || echo "the Strudel engine could not be built; the Python checker judges instead" >&2; \
	else echo "npm is not installed; the Python checker judges instead of the Strudel engine" >&2; fi
	$(BIN)/polytune run experiments/quickstart.yaml

strudel: $(INSTALLED)
	$(BIN)/polytune grader build strudel

test: $(INSTALLED) check wheel
	$(BIN)/pytest -n 2 --dist loadgroup

# What takes many seconds, and longer runs of the tests that try generated edits.
test-slow: $(INSTALLED)
	$(BIN)/pytest -n 2 -m slow
	POLYTUNE_TEST_EDITS=1500 $(BIN)/pytest -n 2 tests/engine/test_engine_plan_truth.py

check: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The wheel, in a clean environment: `polytune --version`, `schema`, `plan` and `init`.
wheel: $(INSTALLED)
	$(BIN)/python tests/packaging/try_wheel.py

# The same with every Python that polytune supports and that is installed here.
pythons: $(INSTALLED)
	$(BIN)/python tests/packaging/try_wheel.py 3.11 3.12 3.13

# The two published schemas, after a spec or the manifest has changed.
schema: $(INSTALLED)
	$(BIN)/polytune schema > experiments/experiment.schema.json
	$(BIN)/polytune schema --manifest > docs/manifest.schema.json

bench: $(INSTALLED)
	$(BIN)/python tests/benchmarks/bench_rows.py
	$(BIN)/python tests/benchmarks/bench_noop.py
	$(BIN)/python tests/benchmarks/bench_big_input.py

# The same versions everywhere. requirements.lock holds all that torch needs except the NVIDIA packages, so
# a CPU build of torch adds nothing, and a CUDA build fetches the ones that it names itself. That is why
# torch comes second, and with its dependencies. The build backend is in the lock too: no build isolation.
$(INSTALLED): pyproject.toml requirements.lock requirements-torch.lock | venv
	@$(BIN)/python $(PIP_INSTALL) --require-hashes --no-deps -r requirements.lock \
	  && $(BIN)/python $(PIP_INSTALL) -r requirements-torch.lock \
	  && $(BIN)/python $(PIP_INSTALL) --no-deps --no-build-isolation -e . \
	  && $(BIN)/python -m pip check --disable-pip-version-check >/dev/null \
	  || { echo "The install into $(VENV) failed; pip's reason is above. Run \`make clean\` to start with an empty one." >&2; exit 1; }
	@touch $@

venv:
	@PYTHON='$(PYTHON)' .ci/venv $(VENV)

# Both lock files follow pyproject.toml and keep the versions that they have; `make lock UPGRADE=--upgrade`
# takes the newest. The NVIDIA packages of torch's CUDA builds are left out: torch pins them itself.
LOCKED := .venv-tools/requirements
lock: .venv-tools/bin/uv
	@cat requirements.lock requirements-torch.lock > $(LOCKED)
	.venv-tools/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-emit-find-links --no-header --no-annotate $(addprefix --extra ,$(subst $(COMMA), ,$(EXTRAS))) $(UPGRADE) pyproject.toml -o $(LOCKED)
	awk '/^[a-z0-9]/ {keep = $$0 !~ /^(torch==|triton==|nvidia-|cuda-)/} keep' $(LOCKED) > requirements.lock
	sed -n 's/^\(torch==[^ ]*\).*/\1/p' $(LOCKED) > requirements-torch.lock

# What the ranges in pyproject.toml promise: the newest allowed versions, and the lowest ones. Neither is part
# of `make test`: they say what the outside world has broken since. torch stays at its pin, whose CPU build may
# be at hand; `make test-newest TORCH='torch>=2.13,<3'` tries another one. TESTS names a part of the suite.
TORCH ?= -r requirements-torch.lock
TESTS ?= tests
test-newest:
	@PYTHON='$(PYTHON)' .ci/venv .venv-newest
	.venv-newest/bin/python $(PIP_INSTALL) --upgrade --upgrade-strategy eager $(TORCH) -e '.[$(EXTRAS)]'
	.venv-newest/bin/pytest -n 2 --dist loadgroup $(TESTS)

test-oldest: .venv-tools/bin/uv
	@PYTHON='$(PYTHON)' .ci/venv .venv-oldest
	.venv-tools/bin/uv pip compile --quiet --python .venv-oldest/bin/python --resolution lowest-direct --no-header \
	  --no-annotate $(addprefix --extra ,$(subst $(COMMA), ,$(EXTRAS))) -c requirements-torch.lock pyproject.toml -o .venv-oldest/all
	grep -vE '^(torch==|triton==|nvidia-|cuda-)' .venv-oldest/all > .venv-oldest/requirements
	.venv-oldest/bin/python $(PIP_INSTALL) --no-deps -r .venv-oldest/requirements
	.venv-oldest/bin/python $(PIP_INSTALL) $(TORCH)
	.venv-oldest/bin/python $(PIP_INSTALL) --no-deps --no-build-isolation -e .
	.venv-oldest/bin/pytest -n 2 --dist loadgroup $(TESTS)

.venv-tools/bin/uv:
	@PYTHON='$(PYTHON)' .ci/venv .venv-tools
	.venv-tools/bin/python $(PIP_INSTALL) 'uv>=0.9,<1'

clean:
	rm -rf $(VENV) .venv-tools .venv-newest .venv-oldest .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
