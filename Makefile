# `make demo` and `make test` set up everything they need in .venv; nothing else has to be installed first.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.ONESHELL:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# PYTHON=/path/to/python3.12 chooses the interpreter; otherwise the first usable one is taken.
PYTHON ?=
# How many tests run at once.
JOBS ?= 2

# Several processes share the cores here; OpenMP threads spin for a short time while they wait, as in the workers.
export OMP_WAIT_POLICY ?= active
export GOMP_SPINCOUNT ?= 1000
export KMP_BLOCKTIME ?= 1

.PHONY: help demo up install test faults check lint format benchmarks fuzz hashes sbom clean

help:  ## Lists the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-11s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

demo: $(STAMP)  ## Fine-tunes on digits over HTTP, explains two of them, writes the pictures to demo-output/
	@$(BIN)/tunelens demo

up: $(STAMP)  ## Serves on http://127.0.0.1:8000 until Ctrl-C
	@exec $(BIN)/tunelens up

install: $(STAMP)  ## Creates .venv with everything in it

faults: $(STAMP)  ## The tests that kill, freeze and starve processes, part of `make test`
	@$(BIN)/python -m pytest -m faults $(PYTEST_ARGS)

test: $(STAMP)  ## The whole suite, in JOBS processes side by side
	@$(BIN)/python -m pytest -n $(JOBS) $(PYTEST_ARGS)

check: $(STAMP)  ## What CI checks besides the tests: style, types, import floors, migrations, module sizes
	@echo "ruff";          $(BIN)/ruff check .
	echo "ruff format";    $(BIN)/ruff format --check .
	echo "mypy";           $(BIN)/mypy
	echo "import-linter";  $(BIN)/lint-imports --no-logo
	$(BIN)/python .ci/audit.py
	echo "module sizes";   $(BIN)/python -m pytest tests/architecture/test_module_size.py
	echo "alembic check"
	scratch=$$(mktemp -d)
	trap 'rm -rf "$$scratch"' EXIT
	export TUNELENS_DATA_DIR="$$scratch" DATABASE_URL="sqlite:///$$scratch/check.db"
	$(BIN)/python -m service.store.migrate
	$(BIN)/alembic check

lint: $(STAMP)  ## Fixes what ruff can fix and reports the rest
	@$(BIN)/ruff check --fix .

format: $(STAMP)  ## Formats the code
	@$(BIN)/ruff format .

benchmarks: $(STAMP)  ## Ratios against the reference libraries, one run each
	@for script in benchmarks/*.py; do
	  echo "== $$script"
	  PYTHONPATH=. $(BIN)/python "$$script"
	done

fuzz: $(STAMP)  ## Ten thousand generated requests and chains of them; FUZZ_ARGS="--examples 50 --seed 7" changes it
	@$(BIN)/python -m tests.fuzz $(FUZZ_ARGS)

# Images are Linux alone: not every pin has a file for every other system. setuptools builds our own package there.
# They have one NCCL, torch's: docker/worker.Dockerfile says why.
hashes: $(STAMP)  ## Writes hashes.txt and those of the images anew, after a change of constraints.txt
	@scratch=$$(mktemp -d)
	trap 'rm -rf "$$scratch"' EXIT
	compile() {
	  $(abspath $(BIN))/uv pip compile "$$@" --generate-hashes --universal --python-version 3.11 \
	    --no-header --no-annotate --index-strategy unsafe-best-match --quiet
	}
	compile constraints.txt --no-deps --output-file hashes.txt
	{ cat pyproject.toml; echo '[tool.uv]'; echo "environments = [\"sys_platform == 'linux'\"]"
	  echo "override-dependencies = [\"nvidia-nccl-cu12; sys_platform == 'never'\"]"; } > "$$scratch/pyproject.toml"
	echo setuptools > "$$scratch/build.in"
	image() {
	  compile --directory "$$scratch" pyproject.toml build.in --constraints $(CURDIR)/constraints.txt \
	    --output-file "$(CURDIR)/docker/$$1.hashes.txt" "$${@:2}"
	}
	image api --extra s3
	image worker --extra s3 --extra worker

sbom: $(STAMP)  ## Writes what is installed, as CycloneDX, and its licences to dist/, for a release
	@mkdir -p dist
	$(BIN)/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible --output-format JSON \
	  --output-file dist/sbom.cdx.json $(BIN)/python
	$(BIN)/pip-licenses --from mixed --format csv --with-urls --output-file dist/licences.csv
	ls dist/sbom.cdx.json dist/licences.csv

clean:  ## Removes .venv, caches and the demo's output; leaves data/ alone
	@rm -rf $(VENV) demo-output build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .schemathesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# First what is pinned, whose hashes must be those of hashes.txt; then what PyTorch brings along for its own build.
$(STAMP): pyproject.toml constraints.txt hashes.txt
	@python="$(PYTHON)"
	usable='import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))'
	for candidate in $${python:-python3.11 python3.12 python3.13 python3.14 python3}; do
	  if "$$candidate" -c "$$usable" >/dev/null 2>&1; then found="$$candidate"; break; fi
	done
	if [ -z "$${found:-}" ]; then
	  echo "Tunelens needs Python 3.11 or newer with its venv module. If it has an unusual name: make PYTHON=/path/to/python" >&2
	  exit 1
	fi
	[ -x $(BIN)/python ] || "$$found" -m venv $(VENV)
	log=$(VENV)/install.log
	echo "Installing into $(VENV) with $$($(BIN)/python --version). The first time this takes minutes: PyTorch is large."
	tty=$$([ -t 1 ] && echo 1 || echo 0)
	pip="$(BIN)/python -m pip install --progress-bar off --disable-pip-version-check"
	if ! { $$pip --no-deps --require-hashes -r hashes.txt && $$pip -c constraints.txt -e '.[worker,client,dev]'; } \
	     2>&1 | tee "$$log" | awk -v tty="$$tty" '
	       /^ *Downloading |^Installing collected/ {
	         n++; what = ($$1 == "Installing") ? "unpacking everything (this is the longest part)" : $$2
	         sub(/.*\//, "", what)
	         if (tty) { printf "\r\033[K  %3d  %s", n, substr(what, 1, 70); fflush() }
	         else if (n % 25 == 0 || $$1 == "Installing") { printf "  %3d  %s\n", n, what; fflush() }
	       }
	       END { if (tty) printf "\r\033[K" }'; then
	  tail -n 20 "$$log" >&2
	  echo "The installation failed; all of pip's output is in $$log." >&2
	  exit 1
	fi
	touch $@
	echo "Installed."
