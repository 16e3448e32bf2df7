# Loopgate: `make demo` shows it, `make test` proves it. Both need only Python 3.11+ and a package index.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
SHELL := /bin/bash

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
DEV_MARK := \# --- development: everything below is for tests and linters only ---

.PHONY: help demo test lint fix unit bench races storm chaos fuzz slack-schema lock clean

help:  ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

demo: $(VENV)/runtime  ## Start everything locally and open one page; Ctrl-C stops it
	@$(BIN)/loopgate demo $(ARGS)

test: lint  ## Linters, types, layers and every test
	@$(BIN)/python -m pytest $(ARGS)

lint: $(VENV)/development  ## ruff, mypy, import-linter
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

fix: $(VENV)/development  ## Format and mend what ruff can mend
	@$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

unit: $(VENV)/development  ## The fast tests only
	@$(BIN)/python -m pytest tests/unit $(ARGS)

bench: $(VENV)/development  ## Benchmarks, each beside its floor
	@for f in tests/benchmarks/bench_*.py; do echo "== $$f"; PYTHONPATH=tests:tests/e2e $(BIN)/python $$f || exit 1; done

races: $(VENV)/development  ## 200 rounds of eight people clicking at once, on a stack of its own
	@PYTHONPATH=tests:tests/e2e $(BIN)/python tests/e2e/races.py 200

storm: $(VENV)/development  ## 300 requests and decisions in one channel while Slack limits, breaks and hangs
	@PYTHONPATH=tests:tests/e2e $(BIN)/python tests/e2e/storm.py 300

chaos: $(VENV)/development  ## Five seeds of five minutes while everything is killed and fails (SEED=, SECONDS_PER_SEED=, SEEDS=)
	@SEED=$(SEED) SECONDS_PER_SEED=$(SECONDS_PER_SEED) SEEDS=$(SEEDS) PYTHONPATH=tests:tests/e2e \
	$(BIN)/python tests/chaos/run.py

fuzz: $(VENV)/development  ## 20,000 deliveries and API requests of every kind of wrongness, and every property, on a seed (SEED=)
	@PYTHONPATH=tests $(BIN)/python tests/unit/intake/fuzzing.py 10000 $(or $(SEED),1)
	@PYTHONPATH=tests $(BIN)/python tests/unit/api/fuzzing.py 10000 $(or $(SEED),1)
	@$(BIN)/python -m pytest -q -m hypothesis --hypothesis-profile=search --hypothesis-seed=$(or $(SEED),1) tests

# Every package pinned, every file's hash in the lock, no registry named: `npm ci` refuses anything else.
slack-schema:  ## Make the schema of Slack's blocks from Slack's own types again (needs node)
	@set -e; t=$$(mktemp -d); trap 'rm -rf $$t' EXIT; cp tests/slack_schema/* $$t; \
	npm ci --prefix $$t --ignore-scripts --no-audit --no-fund --silent; \
	node $$t/generate.mjs > $$t/blockkit.schema.json; mv $$t/blockkit.schema.json tests/slack_schema/

# One lock, in two parts: what runs, then what tests. Hashes for every file, no index address.
lock:  ## Resolve pyproject.toml again into requirements.lock
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(PIP) install uv
	@set -e; t=$$(mktemp -d); trap 'rm -rf $$t' EXIT; \
	compile="$(BIN)/uv pip compile --quiet --upgrade pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate"; \
	$$compile -o $$t/runtime; \
	$$compile --group dev -c $$t/runtime -o $$t/all; \
	{ echo '# Locked by `make lock`. Install: pip install --require-hashes -r requirements.lock'; \
	  cat $$t/runtime; \
	  echo '$(DEV_MARK)'; \
	  awk 'NR==FNR{if(!/^ /)seen[$$1]=1; next} !/^ /{keep=!($$1 in seen)} keep' $$t/runtime $$t/all; } > requirements.lock

# Installed without an index look-up of our own build tools: hatchling is in the lock too.
$(VENV)/runtime: requirements.lock pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "loopgate: installing locked dependencies into $(VENV) (once)"
	@sed '/^# --- development/,$$d' requirements.lock > $@.lock
	@$(PIP) install --require-hashes -r $@.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/development: $(VENV)/runtime
	@echo "loopgate: installing the test tools into $(VENV) (once)"
	@$(PIP) install --require-hashes -r requirements.lock
	@touch $@

clean:  ## Remove the virtual environment and every local data directory
	rm -rf $(VENV) .loopgate .pytest_cache .mypy_cache .ruff_cache .hypothesis
