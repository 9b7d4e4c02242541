# Every target does its own set-up: a virtual environment in .venv and an editable install of this folder.

PYTHON ?= python3
JOBS ?= 2
VENV := .venv
BIN := $(VENV)/bin

SITE := build/site

.PHONY: help demo docs docs-check docs-examples test check fuzz clean

help:
	@echo "make demo           register a synthetic pair of brains; the results are left in demo/"
	@echo "make docs           build the site in $(SITE): tutorials run, warnings are errors, links are checked"
	@echo "make docs-check     run every command of the guides on made data, for some minutes"
	@echo "make docs-examples  build the pages of a small cohort in docs/examples/"
	@echo "make test           make check, then every test"
	@echo "make check          style, types and layering"
	@echo "make fuzz           damaged files for every reader, for four minutes"
	@echo "make clean          remove the environment and everything built"

demo: $(VENV)/core.done
	$(BIN)/warpline demo --output demo

docs: $(VENV)/docs.done
	rm -rf docs/reference $(SITE)
	$(BIN)/python -m sphinx --builder html --nitpicky --fail-on-warning --keep-going --jobs $(JOBS) docs $(SITE)
	$(BIN)/python docs/generators/check_links.py $(SITE)

docs-check: $(VENV)/core.done
	$(BIN)/python docs/generators/run_commands.py

docs-examples: $(VENV)/core.done
	$(BIN)/python examples/cohort_pages.py

test: check
	WARPLINE_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist loadfile

check: $(VENV)/test.done
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; name one with: make PYTHON=/path/to/python"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/core.done: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

$(VENV)/test.done: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[test]"
	touch $@ $(VENV)/core.done

$(VENV)/docs.done: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[docs]"
	touch $@ $(VENV)/core.done

fuzz: $(VENV)/test.done
	cd tests && ../$(BIN)/python -m fuzzing --jobs $(JOBS)

clean:
	rm -rf $(VENV) build dist demo docs/examples docs/reference docs/tutorials src/*.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
