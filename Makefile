# Each target sets up what it needs, in .venv; nothing else is touched.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help demo test check bench faults soak site lock sbom audit clean

help: ## say what there is
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-6s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo 'Options for the program behind demo, test, bench, faults and soak: make test ARGS="-k cookie"'

demo: $(VENV)/installed ## show everything: a portal, its verify API, the docs in a frame
	@$(BIN)/gate demo $(ARGS)

test: $(VENV)/tested ## run the tests; what this machine lacks is skipped, with the reason
	@$(BIN)/python -m pytest $(ARGS)

check: $(VENV)/checked ## lint, types and the Dockerfile
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/hadolint Dockerfile

bench: $(VENV)/benched ## what the gate costs, beside others; ARGS=--help for parts and other figures
	@$(BIN)/python -m bench $(ARGS)

faults: $(VENV)/tested ## what may go wrong around a gate, with people reading (6 minutes)
	@$(BIN)/python -m bench faults $(ARGS)

soak: $(VENV)/tested ## half an hour of people who come and go: what does the gate keep of them?
	@$(BIN)/python -m bench soak $(ARGS)

site: $(VENV)/docs ## build docs/ into site/
	@SOURCE_DATE_EPOCH=1767225600 $(BIN)/mkdocs build --quiet --strict --clean

lock: $(VENV)/pip ## pin what the image installs, with hashes
	@$(PIP) install uv
	@echo '# What the image installs, with hashes: made by `make lock` from pyproject.toml.' >requirements.lock
	@$(BIN)/uv pip compile --quiet pyproject.toml --extra redis --python-version 3.13 --universal \
		--generate-hashes --no-header --no-annotate --upgrade >>requirements.lock

sbom: $(VENV)/released $(VENV)/image/made ## write sbom.json, the CycloneDX bill of what the image installs
	@sed "s/^dynamic = .*/version = \"$$($(VENV)/image/bin/gate --version | cut -d ' ' -f 2)\"/" \
		pyproject.toml >$(VENV)/image/pyproject.toml
	@$(BIN)/cyclonedx-py environment --pyproject $(VENV)/image/pyproject.toml --mc-type application \
		--spec-version 1.6 --output-reproducible --validate --output-file sbom.json $(VENV)/image/bin/python

# --strict: what the database does not know fails too, else a database that is out of reach would pass
audit: $(VENV)/released ## ask for known weaknesses in what the image installs; needs the network
	@$(BIN)/pip-audit --strict --disable-pip --require-hashes --progress-spinner off \
		--requirement requirements.lock

clean: ## remove what the targets made
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis sbom.json

# pip knows dependency groups since 25.1; what comes with Python 3.11 is older
$(VENV)/pip: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, as in: make PYTHON=python3.13")'
	@echo 'setting up $(VENV), once' >&2
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install "pip>=25.1"
	@touch $@

$(VENV)/installed: $(VENV)/pip
	@$(PIP) install --editable .
	@touch $@

$(VENV)/tested: $(VENV)/installed
	@$(PIP) install --group test
	@touch $@

$(VENV)/benched: $(VENV)/tested
	@$(PIP) install --group bench
	@touch $@

$(VENV)/checked: $(VENV)/tested
	@$(PIP) install --group lint
	@touch $@

$(VENV)/released: $(VENV)/pip
	@$(PIP) install --group release
	@touch $@

# as the Dockerfile does it
$(VENV)/image/made: $(VENV)/pip requirements.lock gate/__init__.py
	@$(PYTHON) -m venv --clear --without-pip $(@D)
	@$(PIP) --python $(@D)/bin/python install --only-binary :all: --require-hashes -r requirements.lock
	@$(PIP) --python $(@D)/bin/python install --no-deps .
	@touch $@

$(VENV)/docs: $(VENV)/pip
	@$(PIP) install --group docs
	@touch $@
