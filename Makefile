# pathopipe: `make help` lists what there is. Every target sets up what it needs in .venv.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: help setup demo test check bench docs clean

help: ## List the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

setup: $(READY) ## Install pathopipe and its tools into .venv, in the versions that were tested

# torch first and by its exact version: on Linux an open range fetches several GB of CUDA packages, which a machine
# without a GPU does not need. `make setup TORCH=torch` takes whatever build pip prefers.
TORCH ?= torch==2.13.0
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "pathopipe needs Python 3.11 or newer")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt "$(TORCH)"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: $(READY) ## Draw a slide, analyse it, and show where the results are
	$(BIN)/pathopipe demo --out demo

# Tests wait for processes of their own much of the time: a few more than cores does no harm. In the order of the folders,
# the files with few and long tests (e2e, faults) come first, and none of them is left alone at the end.
JOBS ?= 3
test: $(READY) ## Run all tests (real slides too, where PATHOPIPE_TEST_DATA or ../shared/data has them)
	$(BIN)/python -m pytest --numprocesses=$(JOBS) --dist=loadfile --no-loadscope-reorder

check: $(READY) ## Lint, types, layers, docs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/mkdocs build --strict --quiet

bench: $(READY) ## Run the benchmarks (minutes)
	$(BIN)/python -m benchmarks

docs: $(READY) ## Build the documentation into site/
	$(BIN)/mkdocs build --strict

clean: ## Remove the environment and what was built
	rm -rf $(VENV) site build demo
