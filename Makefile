# PSR DB Populator. `make populate` does the main job, `make test` checks everything.
SEED ?= 19071990
NUM_ORGS ?= 10
RUN ?= runs/$(SEED)-$(NUM_ORGS)
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(abspath $(VENV))/bin
STAMP := $(VENV)/.installed
SDK3 := .venv-sdk3

.DEFAULT_GOAL := help
.PHONY: help env check test test-long sdk3 unit notebooks image image-test populate verify report bench clean

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

env: $(STAMP)  ## create the environment in .venv

$(STAMP): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "make: Python 3.11, 3.12 or 3.13 is needed and was not found; set PYTHON=/path/to/python"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]'
	@touch $@

check: $(STAMP)  ## format, lint, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

unit: $(STAMP)  ## unit and contract tests
	$(BIN)/pytest

notebooks: $(STAMP)  ## run every notebook as a test (nbval)
	$(BIN)/python tests/notebooks/run.py

test: check unit notebooks  ## everything that must pass

sdk3: $(STAMP) $(SDK3)/.installed  ## contract tests with the vendor's 3.x SDK; needs its activation key
	$(BIN)/pytest -rs tests/contract/test_vendor_sdk3.py

$(SDK3)/.installed: constraints-sdk3.txt
	$(PYTHON) -m venv $(SDK3)
	$(SDK3)/bin/python -m pip install --quiet --disable-pip-version-check -r constraints-sdk3.txt
	@touch $@

test-long: $(STAMP)  ## the repetitions that take long
	$(BIN)/pytest -m long

image:  ## build the container images psr:psr and psr:lab
	deploy/build-images

image-test: $(STAMP) .venv-images/.installed image  ## build the images and run them, strictly confined
	$(BIN)/pytest -m images tests/images

.venv-images/.installed: pyproject.toml constraints.txt $(STAMP)
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python .venv-images
	$(BIN)/uv pip install --quiet --python .venv-images/bin/python --constraint constraints.txt --group images
	@touch $@

populate: $(STAMP)  ## the main job: SEED=19071990 NUM_ORGS=10
	@mkdir -p $(RUN)
	cd notebooks && $(BIN)/papermill populate.ipynb ../$(RUN)/out.ipynb -p seed $(SEED) -p num_orgs $(NUM_ORGS) -p run_dir ../$(RUN)
	@echo "Look at $(RUN)/out.ipynb"

verify: $(STAMP)  ## review a run: SEED=19071990 NUM_ORGS=10
	cd notebooks && $(BIN)/papermill verify.ipynb ../$(RUN)/verify.ipynb -p seed $(SEED) -p num_orgs $(NUM_ORGS) -p run_dir ../$(RUN)
	@echo "Look at $(RUN)/verify.ipynb and $(RUN)/report/report.html"

report: $(STAMP)  ## execute every notebook into build/ with its plots
	$(BIN)/python tests/notebooks/run.py --report build

bench: $(STAMP)  ## measure speed: ratios against floors of the same run
	@for b in bench/bench_*.py; do echo "== $$b"; $(BIN)/python $$b || exit 1; done

clean:  ## remove runs and caches, keep the environment
	rm -rf runs build .pytest_cache .mypy_cache .ruff_cache .hypothesis
