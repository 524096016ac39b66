# Everything runs from .venv, which every target brings up to date first.

# The default follows requires-python; a machine may have it under another name.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEMO := demo
MINUTES ?= 2

.DEFAULT_GOAL := help
.PHONY: help install demo test test-all test-runners fuzz test-server test-flink test-pythons lint docs bench bench-gpu bench-quality format lock clean

help: ## say what every target does
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(STAMP) ## set up .venv with the locked dependencies

# uv installs the rest in a fraction of pip's time. It comes by pip, checked by its own hashes from
# the lock. Compiled bytecode halves the time of every start of TensorFlow.
$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || \
		{ echo "Python 3.11 is needed: make PYTHON=/path/to/python3.11"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	awk '/^[^ #]/ {wanted = /^uv==/} wanted' requirements.lock > $(VENV)/uv.txt
	test -s $(VENV)/uv.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes \
		-r $(VENV)/uv.txt
	VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/uv pip sync --quiet --require-hashes --compile-bytecode \
		requirements.lock
	VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/uv pip install --quiet --no-deps --no-build-isolation -e .
	@touch $(STAMP)

demo: $(STAMP) ## make a table of listings, run the pipeline on it, show the result
	test -e $(DEMO)/pipeline.yaml || $(BIN)/braid init $(DEMO)
	$(BIN)/braid run $(DEMO)/pipeline.yaml
	$(BIN)/braid models $(DEMO)/pipeline.yaml

# A file's tests stay in one process, as they share what is slow to make. Each process takes 2 GB.
PYTEST := $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile

test: $(STAMP) ## run every test of a part, and of the whole path the first, on up to four cores
	$(PYTEST) -m 'not slow and not runners and not server and not flink and not pythons'

test-all: $(STAMP) ## run these, and every whole path: kills, backfills, templates, bad inputs, the wheel
	$(PYTEST)

test-runners: $(STAMP) ## test what runs by a job server: the same bytes as in-process, and what goes wrong
	$(BIN)/python -m pytest -m runners tests/transforms tests/flows

fuzz: $(STAMP) ## draw declarations, tables, pictures and faults that nobody meant, for MINUTES, from SEED on
	$(BIN)/python -m tests.fuzz --minutes $(MINUTES) $(if $(SEED),--seed $(SEED))

test-server: $(STAMP) ## test schedules and lost hosts on servers of their own; needs PostgreSQL
	$(BIN)/python -m pytest -m server tests/server

# Beam's job server listens on all interfaces, whatever it is told: here there is but loopback.
APART := unshare --map-root-user --net sh -c 'ip link set lo up && exec "$$0" "$$@"'

test-flink: $(STAMP) ## test a Flink cluster of two TaskManagers; needs Java and `infra/flink/flink.sh fetch`
	$(APART) $(BIN)/python -m pytest -m flink tests/flink

test-pythons: $(STAMP) ## install the wheel for the other Pythons at hand, and run the notebook; downloads
	$(BIN)/python -m pytest -m pythons tests/repository/test_wheel.py

lint: $(STAMP) ## run every static check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy

docs: $(STAMP) ## build the pages of docs and those made from the code, as a site that needs no network
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

bench: $(STAMP) ## run every benchmark and write tests/benchmarks/RESULTS.md; half an hour
	$(BIN)/python -m tests.benchmarks

ROWS ?= 4000
BATCH ?= 128

bench-gpu: $(STAMP) ## measure what makes the input keep up with a GPU, here; ROWS, BATCH for a larger one
	$(BIN)/python -m tests.benchmarks.gpu $(ROWS) $(BATCH)

bench-quality: $(STAMP) ## judge the defaults on the tables of DATA=folder and write QUALITY.md; an hour
	@test -n "$(DATA)" || { echo "Say where the tables lie: make bench-quality DATA=folder"; exit 1; }
	$(BIN)/python -m tests.benchmarks.quality --data "$(DATA)"

format: $(STAMP) ## rewrite the sources in the one format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: $(STAMP) ## resolve the dependencies again
	$(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url --python-version 3.11 \
		--extra dev --extra server pyproject.toml -o requirements.lock
	for role in gpu serve worker; do \
		$(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url --python-version 3.11 \
			--group $$role --constraint requirements.lock -o infra/$$role.lock || exit 1; \
	done

clean: ## remove the demo, the caches and .venv
	rm -rf $(DEMO) $(VENV) build site *.egg-info .pytest_cache .mypy_cache .ruff_cache \
		.import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
