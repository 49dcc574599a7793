# Two commands matter: `make reproduce` (the analysis) and `make test` (the proof).
# Each is safe as the first command in a fresh clone; set-up happens once.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet --quiet
INSTALL_PACKAGE = $(PIP) install --no-build-isolation --no-deps --editable .
# One BLAS thread: same bytes everywhere, and the tests already run in parallel.
export OPENBLAS_NUM_THREADS := 1
export OMP_NUM_THREADS := 1

.PHONY: reproduce test check lint types contracts bench calibration validate validate-sabotage wheel lock clean help

help:
	@echo "make reproduce  install, run analyses/brex_withdrawal, print its table and page"
	@echo "make test       install, run the test suite"
	@echo "make check      lint, types, import contracts, then the tests"
	@echo "make bench      speed as ratios, equal answers required first"
	@echo "make calibration  coverage and type I error; runs what the result files lack"
	@echo "make validate            every comparison recorded: docs/validation.md"
	@echo "make validate-sabotage   shifted references and broken engines must turn a test red"
	@echo "make wheel      build the wheel into dist/"
	@echo "make lock       renew requirements/*.txt"

$(BIN)/python:
	@echo "Creating $(VENV) ..."
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; v == (3, 11) or sys.exit("aibmd is locked for and tested on Python 3.11; found %d.%d. Set PYTHON=/path/to/python3.11" % v)'
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.run-ready: requirements/run.txt pyproject.toml | $(BIN)/python
	@echo "Installing hash-pinned packages (about a minute, once) ..."
	@$(PIP) install --require-hashes --requirement requirements/run.txt
	@$(INSTALL_PACKAGE)
	@touch $@

$(VENV)/.dev-ready: requirements/dev.txt pyproject.toml | $(BIN)/python
	@echo "Installing hash-pinned packages for tests (about a minute, once) ..."
	@$(PIP) install --require-hashes --requirement requirements/dev.txt
	@$(INSTALL_PACKAGE)
	@touch $@ $(VENV)/.run-ready

reproduce: $(VENV)/.run-ready
	@$(BIN)/aibmd reproduce brex_withdrawal

test: $(VENV)/.dev-ready
	@$(BIN)/python -m pytest -n 2 $(PYTEST_ARGS)

check: lint types contracts test

lint: $(VENV)/.dev-ready
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(VENV)/.dev-ready
	@$(BIN)/mypy

contracts: $(VENV)/.dev-ready
	@$(BIN)/lint-imports

# BENCH_ARGS="--quick" tries everything in a minute; AIBMD_PEERS_PYTHON names another Python
# that holds benchmarks/peers.txt, so that other programs are timed as well.
bench: $(VENV)/.dev-ready
	@$(BIN)/python benchmarks/run.py $(BENCH_ARGS)

calibration: $(VENV)/.dev-ready
	@PYTHONPATH=tests $(BIN)/python -m calibration $(CALIBRATION_ARGS)

validate: $(VENV)/.dev-ready
	@PYTHONPATH=tests $(BIN)/python -m validation.report -n 2

validate-sabotage: $(VENV)/.dev-ready
	@$(BIN)/python tests/validation/run_sabotage.py

wheel: $(VENV)/.dev-ready
	@$(BIN)/python -m pip --disable-pip-version-check --quiet --quiet wheel --no-build-isolation --no-deps --wheel-dir dist .

# uv is in dev.txt; it writes names, versions and hashes, never an index address.
lock: $(VENV)/.dev-ready
	@$(BIN)/uv pip compile --quiet --no-header --no-annotate --generate-hashes --python-version 3.11 requirements/run.in -o requirements/run.txt
	@$(BIN)/uv pip compile --quiet --no-header --no-annotate --generate-hashes --python-version 3.11 --constraint requirements/run.txt requirements/dev.in -o requirements/dev.txt

clean:
	@rm -rf $(VENV) dist results .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
