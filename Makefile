# Everything lives in .venv, with the versions of constraints.txt. `make` alone lists the targets.
PYTHON ?= python3
# On Linux, PyPI's torch brings CUDA along (several GB). Where no GPU is wanted:
#   make demo TORCH_INDEX=https://download.pytorch.org/whl/cpu
TORCH_INDEX ?=
# One worker a core; the tests of a file stay together, because they share a graded class. Files come in the order of
# their names: by their number of tests, the long ones with one test would be left to a single worker at the end.
PYTEST_ARGS ?= -n auto --dist loadfile --no-loadscope-reorder

TORCH := torch==2.13.0
BIN := .venv/bin
READY := .venv/.ready

.DEFAULT_GOAL := help
.PHONY: help install demo test check bench clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(READY)  ## make the environment .venv

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed: make $(MAKECMDGOALS) PYTHON=/path/to/python3"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -c constraints.txt $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) \
		-e '.[dev]' $(TORCH)
	@touch $@

demo: install  ## grade a demo class with plain nbgrader commands, and show who got what and why (some minutes)
	$(BIN)/autograder demo

test: check  ## run all checks and tests
	$(BIN)/python -m pytest $(PYTEST_ARGS)

check: install  ## lint, format, types, and whether the notebooks' answers are up to date
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/autograder sync --check

bench: install  ## measure how long check() and grading a class take, for docs/performance.md (most of an hour)
	@$(BIN)/python benchmarks/check_latency.py; waited=$$?; \
		$(BIN)/python benchmarks/grading.py --markdown docs/performance.md && exit $$waited

clean:  ## delete the demo and what tools left behind; keeps .venv, submissions and the gradebook
	rm -rf demo build dist bench *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -path ./.venv -prune -o -name __pycache__ -type d -print | xargs rm -rf
