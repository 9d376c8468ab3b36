# The two commands of this project: `make loop` and `make test`. Everything they need is set up inside the clone.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
  $$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && \
  $$p tools/fastest_python.py && break; done)
VENV := .venv/bin

# Compiled modules are kept beside their sources: every command, job and worker starts faster for it.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup loop test test-fast coverage lint docs wheels clean

help: ## What can be typed here
	@awk -F ':.*## ' '/^[a-z%\/-]+:.*## /{printf "%-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## A virtual environment with the pinned packages, in .venv; does nothing when nothing changed
	@test -n "$(PYTHON)" || { echo "No Python 3.11, 3.12 or 3.13 found. Install one, or name it: make PYTHON=/path/to/python3.12"; exit 1; }
	@$(PYTHON) tools/setup_environment.py

loop: setup ## The closed loop on a year of real flights, on this machine
	@$(VENV)/python models/flight_delay/prepare.py .cache/flight_delay.parquet
	@$(VENV)/everloop replay flight_delay --data .cache/flight_delay.parquet --until-history 2013-03-01

# The tests of the local cloud change moto inside their process, so they have processes of their own.
test: setup ## All tests
	@$(VENV)/python -m pytest -n 3 --dist loadgroup localcloud/tests
	@$(VENV)/python -m pytest -n 3 --dist loadgroup --no-loadscope-reorder tests

# The domain and its doors, without jobs, clouds or syntheses: what is worth running at every save.
test-fast: setup ## The quick tests, without clouds, jobs and syntheses
	@$(VENV)/python -m pytest -n 2 -m "not slow" tests/everloop tests/functions

test/localcloud: setup ## The tests of the local cloud, and of nothing else
	@$(VENV)/python -m pytest -n 2 --dist loadgroup localcloud/tests

test/%: setup ## The tests of one room or file: make test/everloop/registry
	@$(VENV)/python -m pytest -n 2 --dist loadgroup --no-loadscope-reorder tests/$*

# Python 3.12 and later count lines without a trace function, which takes a fraction of the time.
coverage: setup ## What the tests run of the code, without clouds; fails below the floor in pyproject.toml
	@COVERAGE_CORE=sysmon $(VENV)/python -m pytest -n 2 --dist loadgroup --no-loadscope-reorder -m "not slow" --cov \
	  --cov-report= --cov-fail-under=0 tests/cli tests/infra tests/training tests/models
	@COVERAGE_CORE=sysmon $(VENV)/python -m pytest -n 2 --dist loadgroup --no-loadscope-reorder --cov --cov-append \
	  --cov-report=term:skip-covered tests/everloop tests/functions

lint: setup docs ## Style, types, and the docs' links
	@$(VENV)/ruff check . && $(VENV)/ruff format --check . && $(VENV)/mypy --num-workers 2

docs: setup ## The docs as a site, in .cache/site; a dead link fails
	@$(VENV)/python -m pip install --quiet --requirement requirements-docs.txt --constraint constraints.txt
	@NO_MKDOCS_2_WARNING=1 $(VENV)/mkdocs build --quiet

wheels: setup ## The packages everloop and everloop-localcloud, in dist/
	@rm -rf build localcloud/build dist
	@$(VENV)/python -m pip wheel --quiet --no-deps --wheel-dir dist . ./localcloud
	@rm -rf build localcloud/build && ls dist

clean: ## Remove what was built (not the virtual environment)
	rm -rf build localcloud/build dist cdk.out out .everloop .cache/assembly
