# Verbs a person needs. `make run` and `make test` set up everything they need in .venv.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

# The build of PyTorch. The default takes what the configured package index offers. For a GPU, name the index of the
# CUDA build that fits your driver:  make setup TORCH_ARGS="--index-url <PyTorch's index for your CUDA version>"
TORCH      ?= torch==2.13.0
TORCH_ARGS ?=

# Passed to `equipoise serve`:  make run ARGS="--port 9000 --data-dir /srv/equipoise"
ARGS ?=

NPM := cd frontend && PATH="$(CURDIR)/$(BIN):$$PATH" npm

.DEFAULT_GOAL := help
.PHONY: help setup run test test-python test-web lint web client e2e bench format clean

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Equipoise needs Python 3.11 or newer; name one with: make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	  echo "This Python cannot make virtual environments; on Debian and Ubuntu: apt install python3-venv"; exit 1; }

$(VENV)/.python: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(TORCH_ARGS) "$(TORCH)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[dev]"
	@touch $@

$(VENV)/.node: frontend/package.json frontend/package-lock.json $(VENV)/.python
	$(NPM) ci --no-audit --no-fund --loglevel=error
	@touch $@

backend/static/index.html: $(VENV)/.node $(shell find frontend/src frontend/index.html frontend/vite.config.ts -type f 2>/dev/null)
	$(NPM) run build --silent
	@touch $@

setup: $(VENV)/.python web  ## Install everything and build the page
	@$(BIN)/python -m worker.warm

web: backend/static/index.html  ## Build the page

run: setup  ## Open a working dashboard on this machine
	$(BIN)/equipoise serve $(ARGS)

test: setup lint test-python test-web  ## Run every check and every test

test-python:
	$(BIN)/python -m tests.e2e.browser
	$(BIN)/python -m pytest

test-web: $(VENV)/.node
	$(NPM) test --silent

lint: $(VENV)/.node  ## Style, types and the generated client
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m backend.api.export --check
	$(NPM) run lint --silent

format: $(VENV)/.node  ## Put the code into its standard form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(NPM) run format --silent

client: $(VENV)/.node  ## Generate the page's API client from the API
	$(BIN)/python -m backend.api.export
	$(NPM) run client --silent

e2e: setup  ## Only the tests that drive a real browser and real processes
	$(BIN)/python -m tests.e2e.browser
	$(BIN)/python -m pytest tests/e2e

bench: setup  ## Measure what is claimed about speed
	@ls benchmarks/*.py | sed 's#/#.#; s#\.py$$##' | grep -v __init__ | while read module; do $(BIN)/python -m $$module; done

clean:  ## Remove everything that can be made again
	rm -rf $(VENV) frontend/node_modules backend/static
