# Every target does its own set-up: a virtual environment in .venv and an editable install of this folder.

PYTHON ?= python3
JOBS ?= 2
VENV := .venv
BIN := $(VENV)/bin
OTHERS := .venv-interoperability
TORCH ?= torch
BASE := python:3.12-slim-bookworm
SITE := build/site

.PHONY: help demo docs docs-check docs-examples test check interoperability fuzz weight dist recipe lock sbom workflows container pin-container clean

help:
	@echo "make demo           register a synthetic pair of brains; the results are left in demo/"
	@echo "make docs           build the site in $(SITE): tutorials run, warnings are errors, links are checked"
	@echo "make docs-check     run the commands and the Python of README and guides on made data, for five minutes"
	@echo "make docs-examples  build the pages of a small cohort in docs/examples/"
	@echo "make test           make check, then every test"
	@echo "make check          style, types and layering"
	@echo "make interoperability  install MONAI, TorchIO, JAX, Nipype, Snakemake and napari, and run what joins us to them"
	@echo "make fuzz           damaged files for every reader, for four minutes"
	@echo "make weight         what an installation downloads and takes, on Linux, macOS and Windows"
	@echo "make dist           build wheel and source distribution in dist/, and check them"
	@echo "make recipe         the recipe for conda-forge, with version and hash of dist/, in dist/recipe.yaml"
	@echo "make lock           choose versions and hashes of what the container installs anew"
	@echo "make sbom           list what the container installs, as CycloneDX, in dist/sbom.json"
	@echo "make workflows      check the workflow files"
	@echo "make container      build the container, with Docker"
	@echo "make pin-container  pin the base image of both containers to the digest it has now, with Docker"
	@echo "make clean          remove the environment and everything built"

demo: $(VENV)/core.done
	$(BIN)/warpline demo --output demo

docs: $(VENV)/docs.done
	rm -rf docs/reference $(SITE)
	$(BIN)/python -m sphinx --builder html --nitpicky --fail-on-warning --keep-going --jobs $(JOBS) docs $(SITE)
	$(BIN)/python docs/generators/check_links.py $(SITE)

docs-check: $(VENV)/core.done
	$(BIN)/python docs/generators/run_commands.py --jobs $(JOBS)

docs-examples: $(VENV)/core.done
	$(BIN)/python examples/cohort_pages.py

test: check
	WARPLINE_THREADS=1 PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n $(JOBS) --dist loadfile

check: $(VENV)/test.done
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

interoperability:
	$(PYTHON) -m venv $(OTHERS)
	$(OTHERS)/bin/python -m pip install --quiet --disable-pip-version-check $(TORCH) --editable ".[interoperability]"
	WARPLINE_THREADS=1 $(OTHERS)/bin/python -m pytest -m interoperability --no-skips \
	  tests/test_interoperability.py tests/images/test_array_exchange.py tests/napari

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

$(VENV)/release.done: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[release]"
	touch $@ $(VENV)/core.done

$(VENV)/docs.done: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[docs]"
	touch $@ $(VENV)/core.done

fuzz: $(VENV)/test.done
	cd tests && ../$(BIN)/python -m fuzzing --jobs $(JOBS)

weight: $(BIN)/python
	$(BIN)/python bench/weight.py

dist: $(VENV)/release.done
	rm -rf dist
	$(BIN)/python -m build
	$(BIN)/twine check --strict dist/*
	$(BIN)/python release/contents.py dist/*

recipe: dist
	version=$$($(BIN)/python -m setuptools_scm) && hash=$$($(BIN)/python -c "import hashlib, sys; print(hashlib.sha256(open(sys.argv[1], 'rb').read()).hexdigest())" dist/*.tar.gz) && \
	  sed -e "s/^  version: \".*\"/  version: \"$$version\"/" -e "s/^  sha256: .*/  sha256: $$hash/" \
	  release/recipe.yaml > dist/recipe.yaml

lock: $(VENV)/release.done
	$(BIN)/uv pip compile --quiet pyproject.toml release/container.in --extra cuda12 --extra cluster --upgrade \
	  --python-version 3.12 --python-platform x86_64-manylinux_2_28 --generate-hashes \
	  --custom-compile-command "make lock" --output-file release/container.lock

sbom: $(VENV)/release.done
	mkdir -p dist
	$(BIN)/cyclonedx-py requirements --pyproject pyproject.toml --mc-type application --output-reproducible \
	  --output-file dist/sbom.json release/container.lock

workflows: $(VENV)/release.done
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/zizmor --offline .github/workflows

container: $(VENV)/release.done
	docker build --build-arg VERSION=$$($(BIN)/python -m setuptools_scm) -t warpline .

pin-container:
	digest=$$(docker buildx imagetools inspect --format "{{.Manifest.Digest}}" $(BASE)) && \
	  sed -i.old "s/^ARG BASE=.*/ARG BASE=$(BASE)@$$digest/" Dockerfile && \
	  sed -i.old "s/^From: .*/From: $(BASE)@$$digest/" release/warpline.def && \
	  rm Dockerfile.old release/warpline.def.old

clean:
	rm -rf $(VENV) $(OTHERS) build dist demo docs/examples docs/reference docs/tutorials src/*.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
