# `make run` and `make test` set up .venv first. They need Python 3.11 or newer.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# What is installed beside what the package needs, see pyproject.toml.
EXTRAS ?= dev

.PHONY: setup run test test-all lint docs

setup: $(VENV)/.installed

# The constraints pin the tested versions, so that a later install gets the same ones.
$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "labor_jax needs Python 3.11 or newer; set PYTHON=python3.x")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[$(EXTRAS)]'
	touch $@

run: setup
	$(BIN)/python -m labor_jax.main --config spl --config.schedule=short

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

PYTEST := $(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder

# All but the slow tests, see tests/slow.py.
test: setup lint
	$(PYTEST) -m "not slow"

test-all: setup lint
	$(PYTEST)

# The site, into site/. Not --quiet, which also keeps --strict quiet. NO_MKDOCS_2_WARNING: the theme
# advertises its successor at each build.
docs: $(VENV)/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

$(VENV)/.docs: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[docs]'
	touch $@
