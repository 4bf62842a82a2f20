# `make run` and `make test` need Python 3.11 or newer with its headers, a C compiler and make;
# they set up everything else, and say what is missing.

VENV ?= .venv
BIN = $(VENV)/bin
DEMO ?= --workers 3 --block-time 2
# Tests of whole processes mostly wait: more jobs than cores are well.
JOBS ?= 3
SEEDS ?= 1-10

.PHONY: help run test lint docs bench chaos nightly venv clean

help: ## show this
	@grep -E '^[a-z]+:.*##' Makefile | sed -E 's/:[^#]*## /	/' | expand -t 12

run: ## run the demo: a devnet, simulated workers and a whole bridge, with a live view
	@tools/setup.sh $(VENV) ""
	@$(BIN)/prbkit serve --demo $(DEMO)

venv:
	@tools/setup.sh $(VENV) dev

test: venv ## run all tests
	@tools/services.sh
	@$(BIN)/python -m pytest -m "" -n $(JOBS) --dist worksteal --ignore tests/benchmarks $(PYTEST_ARGS)

lint: venv ## ruff, mypy --strict, cython-lint
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@PATH="$(abspath $(BIN)):$$PATH" cython-lint prbkit/_speedups
	@$(BIN)/mypy prbkit plugins

docs: venv ## build the documentation, warnings are errors
	@$(BIN)/sphinx-build -q -W --keep-going -b html docs docs/_build/html

bench: venv ## run the benchmarks beside their peers and write docs/benchmarks.md
	@PRBKIT_BENCH_REPORT=docs/benchmarks.md $(BIN)/python -m pytest tests/benchmarks -q \
		--benchmark-only --benchmark-columns=median,iqr,rounds

chaos: venv ## kill processes of whole farms at random, SEEDS=first-last
	@tools/services.sh
	@$(BIN)/python -m tests.e2e.chaos --seeds $(SEEDS)

nightly: venv ## the tests with 20 times as many property cases
	@HYPOTHESIS_PROFILE=nightly $(BIN)/python -m pytest -m "" --ignore tests/benchmarks --timeout 3600 $(PYTEST_ARGS)

clean: ## remove what builds and tests made
	@rm -rf build dist docs/_build .venv .ci-venv .hypothesis .mypy_cache .pytest_cache .ruff_cache
	@find prbkit -name '*.so' -delete
