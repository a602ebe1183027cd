# Every target sets up .venv by itself and does so once: a stamp per extra is newer than setup.cfg, or the extra is installed anew.
#   make PYTHON=python3.12 …   the interpreter that .venv is made from (3.11 or newer)
#   make JOBS=8 test           test processes
#   make ARGS="--epochs 3" demo

PYTHON ?= python3
JOBS ?= 2
TORCH ?= torch==2.13.0
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet

.DELETE_ON_ERROR:
.PHONY: demo test test-gpu parity lint docs clean

demo: $(VENV)/.demo
	$(BIN)/python -m models train lenet5 --data digits $(ARGS)

test: $(VENV)/.dev
	$(BIN)/python -m pytest -q -n $(JOBS) --ignore=tests/parity $(ARGS)

# On a machine with a GPU, with the CuPy, NumPy and pytest of its own Python: nothing is installed.
test-gpu:
	$(PYTHON) -m pytest tests/gpu tests/test_devices.py -q $(ARGS)

parity: $(VENV)/.parity
	$(BIN)/python -m pytest -q -n $(JOBS) tests/parity $(ARGS)

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/mypy

# The site: docs/_build/html/index.html. Every docstring is in it; the examples in docstrings are tests (make test).
docs: $(VENV)/.docs
	$(BIN)/python -m sphinx -q -E -W --keep-going -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

clean:
	rm -rf docs/_build docs/_gallery docs/reference docs/sg_execution_times.rst
	rm -rf $(VENV) runs build dist *.egg-info .pytest_cache .hypothesis .mypy_cache .ruff_cache .coverage .coverage.* htmlcov
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "minigrad needs Python 3.11 or newer; $(PYTHON) is not. Name another one: make PYTHON=python3.12 …" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo $(VENV)/.dev $(VENV)/.docs: $(VENV)/.%: $(BIN)/python setup.cfg pyproject.toml
	$(PIP) -e '.[$*]'
	@touch $@

# The CPU build is enough. Where the index offers the CUDA one first:
#   make parity TORCH='torch==2.13.0 --index-url https://download.pytorch.org/whl/cpu'
$(VENV)/.parity: $(VENV)/.dev
	$(PIP) $(TORCH)
	$(PIP) expecttest  # torch.testing._internal imports it
	@touch $@
