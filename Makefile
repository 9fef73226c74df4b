# `make demo` and `make test` do everything on a fresh machine with Python 3.11 and make.
VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3.13 || command -v python3)
DEMO ?= demo
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# PyPI's torch for Linux brings gigabytes of CUDA libraries; the CPU build lies here.
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu

# Processes of the test suite; each computes with one thread.
TEST_JOBS ?= 2

.PHONY: demo test lint docs bench clean check-machine

demo: $(VENV)/.installed
	$(BIN)/radiomics-npc demo $(DEMO)

test: $(VENV)/.installed-test
	$(BIN)/pytest --durations=15 --numprocesses=$(TEST_JOBS) --dist=loadfile

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(VENV)/.installed-test
	$(PIP) install --constraint constraints.txt --editable ".[docs]"
	$(BIN)/sphinx-build -W --keep-going -q -d docs/_build/doctrees -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

bench: $(VENV)/.installed-test
	$(BIN)/python -m benchmarks

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache

# PyRadiomics compiles C: say in one sentence what is missing, before pip says it in two hundred lines.
check-machine:
	@test -n "$(PYTHON)" || { echo "No Python found: install Python 3.11 or newer."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$$($(PYTHON) --version) is too old: install Python 3.11 or newer, or run make PYTHON=/path/to/python3.11."; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "This Python cannot make virtual environments: install its venv package (Debian, Ubuntu: apt-get install python3-venv)."; exit 1; }
	@command -v $${CC:-cc} >/dev/null || command -v gcc >/dev/null || { echo "PyRadiomics compiles C and no compiler was found: install one (Debian, Ubuntu: apt-get install build-essential; macOS: xcode-select --install)."; exit 1; }
	@$(PYTHON) -c 'import os, sys, sysconfig; sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))' || { echo "PyRadiomics compiles C and the Python headers are missing: install them (Debian, Ubuntu: apt-get install python3-dev)."; exit 1; }

$(VENV)/.installed: pyproject.toml constraints.txt | check-machine
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing radiomics_npc into $(VENV) (a few minutes the first time)"
	$(PIP) install --constraint constraints.txt --editable .
	touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(PIP) install --constraint constraints.txt --no-deps --retries 1 --extra-index-url $(TORCH_INDEX) torch
	$(PIP) install --constraint constraints.txt --editable ".[test]"
	touch $@
