# PSR DB Populator. `make populate` does the main job, `make test` checks everything.
SEED ?= 19071990
NUM_ORGS ?= 10
RUN ?= runs/$(SEED)-$(NUM_ORGS)
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(abspath $(VENV))/bin
STAMP := $(VENV)/.installed
TOOLS := .venv-supply-chain
# what is compiled is kept, also where the machine says otherwise: hundreds of processes import psrlib
export PYTHONDONTWRITEBYTECODE =
LOCKED := --quiet --disable-pip-version-check --require-hashes --no-deps -r
LOCK = $(BIN)/uv pip compile --quiet --universal --python-version 3.11.0 --generate-hashes --no-annotate \
	--custom-compile-command 'make locks' --constraint constraints.txt
SDK3 := .venv-sdk3

.DEFAULT_GOAL := help
.PHONY: help env check test test-long locks sbom audit sdk3 unit notebooks image image-test docs populate verify report bench clean

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

env: $(STAMP)  ## create the environment in .venv

$(STAMP): pyproject.toml locks/env.txt
	@test -n "$(PYTHON)" || { echo "make: Python 3.11, 3.12 or 3.13 is needed and was not found; set PYTHON=/path/to/python"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install $(LOCKED) locks/env.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

check: $(STAMP)  ## format, lint, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

unit: $(STAMP)  ## unit and contract tests; four at a time, for most wait; what computes comes first
	$(BIN)/pytest -rs -n 4 --dist loadfile --no-loadscope-reorder tests/model tests psrlib

notebooks: $(STAMP)  ## run every notebook as a test (nbval)
	$(BIN)/python tests/notebooks/run.py

test: check unit notebooks  ## everything that must pass

sdk3: $(STAMP) $(SDK3)/.installed  ## contract tests with the vendor's 3.x SDK; needs its activation key
	$(BIN)/pytest -rs tests/contract/test_vendor_sdk3.py

$(SDK3)/.installed: constraints-sdk3.txt
	$(PYTHON) -m venv $(SDK3)
	$(SDK3)/bin/python -m pip install --quiet --disable-pip-version-check -r constraints-sdk3.txt
	@touch $@

locks: $(STAMP)  ## write locks/ anew, after a change in pyproject.toml or constraints.txt
	$(LOCK) --extra test --group build --output-file locks/env.txt pyproject.toml
	$(LOCK) --group supply-chain --output-file locks/supply-chain.txt
	$(LOCK) --group docs --output-file locks/docs.txt
	$(LOCK) --group images --output-file locks/images.txt

sbom: $(STAMP) $(TOOLS)/.installed  ## list what the environment holds: build/sbom.json, build/licences.txt
	@mkdir -p build
	$(TOOLS)/bin/cyclonedx-py environment --pyproject pyproject.toml --output-file build/sbom.json $(BIN)/python
	$(BIN)/python deploy/list-licences > build/licences.txt

audit: $(TOOLS)/.installed  ## known vulnerabilities of what is locked; fails when it could not ask about one
	$(TOOLS)/bin/pip-audit --strict --disable-pip --require-hashes --requirement locks/env.txt

$(TOOLS)/.installed: locks/supply-chain.txt
	$(PYTHON) -m venv $(TOOLS)
	$(TOOLS)/bin/python -m pip install $(LOCKED) locks/supply-chain.txt
	@touch $@

test-long: $(STAMP)  ## the repetitions that take long
	$(BIN)/pytest -m long

image:  ## build the container images psr:psr and psr:lab
	deploy/build-images

image-test: $(STAMP) .venv-images/.installed image  ## build the images and run them, strictly confined
	$(BIN)/pytest -m images tests/images

.venv-images/.installed: locks/images.txt $(STAMP)
	$(PYTHON) -m venv .venv-images
	.venv-images/bin/python -m pip install $(LOCKED) locks/images.txt
	@touch $@

docs: $(STAMP) .venv-docs/.installed  ## the documentation site in build/site: links checked, nothing fetched from elsewhere
	PATH=$(BIN):$$PATH NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --quiet
	@! grep -rlE '<(script|link|img|iframe)[^>]+(src|href)="?(https?:)?//' build/site --include='*.html' \
		|| { echo "these pages fetch something from elsewhere"; exit 1; }
	@echo "Look at build/site/index.html"

.venv-docs/.installed: locks/docs.txt
	$(PYTHON) -m venv .venv-docs
	.venv-docs/bin/python -m pip install $(LOCKED) locks/docs.txt
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
