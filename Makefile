# Each target sets up what it needs, in .venv; nothing else is touched.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help demo test check bench site clean

help: ## say what there is
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

demo: $(VENV)/installed ## show everything: a portal, its verify API, the docs in a frame
	@$(BIN)/gate demo $(ARGS)

test: $(VENV)/tested ## run the tests; what this machine lacks is skipped, with the reason
	@$(BIN)/python -m pytest $(ARGS)

check: $(VENV)/tested ## lint and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

bench: $(VENV)/tested ## processor time a request, beside others
	@$(BIN)/python -m bench $(ARGS)

site: $(VENV)/docs ## build docs/ into site/
	@$(BIN)/mkdocs build --strict --clean

clean: ## remove what the targets made
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(VENV)/pip: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.13 …")'
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check "pip>=25.1"
	@touch $@

$(VENV)/installed: $(VENV)/pip
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/tested: $(VENV)/installed
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --group dev
	@touch $@

$(VENV)/docs: $(VENV)/pip
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --group docs
	@touch $@
