# What a person or CI does with this repository. Needs Python 3.11 or newer, git and make; nothing else.
# make turns every failure into its own code 2: `make run` prints the code of the verdict, and
# `.venv/bin/interlock status` ends with it.

VENV ?= .venv
BIN := $(abspath $(VENV))/bin
PYTHON ?= $(shell for name in python3.11 python3.12 python3.13 python3 python; do \
	$$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && { command -v $$name; break; }; done)
WORKERS ?= auto
ENVIRONMENT = $(PYTHON) tools/environment.py $(VENV)
PYTEST = $(BIN)/python -m pytest -q

export PATH := $(BIN):$(PATH)
# A PYTHONPATH from the caller's shell would put foreign packages before the locked ones.
unexport PYTHONPATH PYTHONHOME

.DEFAULT_GOAL := help
.PHONY: help run test test-all check bench docs clean lock setup setup-dev need-python

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1\t/p' Makefile | while IFS="$$(printf '\t')" read -r name text; do \
		printf '  make %-9s %s\n' "$$name" "$$text"; done

run: setup ## install, run the pipeline (dvc repro), archive it (interlock sync), write the report, print the verdicts
	@[ -e .git ] || dvc config --quiet --local core.no_scm true
	@dvc repro || { code=$$?; printf '%s\n' "make run: 'dvc repro' stopped with code $$code; the messages above say why." \
		"Mend it and call 'make run' again: finished stages are not repeated." >&2; exit 1; }
	@interlock sync
	@interlock report
	@interlock status || { code=$$?; case $$code in 3) word=fail;; 4) word=inconclusive;; 5) word=blocked;; *) word=error;; esac; \
		echo "make run: interlock status ended with code $$code ($$word)" >&2; exit $$code; }

test: check ## install with the development tools, check, run all tests but the slow ones
	@$(PYTEST) -n $(WORKERS) --dist loadfile -m 'not slow and not network' tests/unit tests/guards
	@$(PYTEST) -n $(WORKERS) --dist worksteal -m 'not slow and not network' tests/pipeline

test-all: check ## the same with the slow tests
	@$(PYTEST) -n $(WORKERS) --dist loadfile -m 'not network' tests/unit tests/guards
	@$(PYTEST) -n $(WORKERS) --dist worksteal -m 'not network' tests/pipeline

check: setup-dev ## style, types, layers, spelling, secrets
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/codespell
	@[ ! -e .git ] || git ls-files -z | xargs -0 $(BIN)/detect-secrets-hook --baseline .secrets.baseline

bench: setup-dev ## measure and write benchmarks/results/
	@for file in benchmarks/[a-z]*.py; do echo "== $$file"; $(BIN)/python "$$file" || exit 1; done

docs: setup-dev ## write docs/cli.md from the commands themselves
	@$(BIN)/typer interlock.cli.main utils docs --name interlock --title "Commands" --output docs/cli.md

clean: ## remove the environment and caches; never results (artifacts/, .dvc/cache)
	rm -rf $(VENV) build dist src/*.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find src tests pipelines tools benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

lock: need-python ## resolve the locks again, keeping versions that still fit (UPGRADE=1: take the newest)
	@folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && $(PYTHON) -m venv "$$folder" && \
		"$$folder/bin/python" tools/lock.py $(if $(UPGRADE),--upgrade)

setup: need-python
	@$(ENVIRONMENT)

setup-dev: need-python
	@$(ENVIRONMENT) --dev

need-python:
	@[ -n "$(PYTHON)" ] || { echo "Python 3.11 or newer is needed and none was found; or name one: make PYTHON=/path/to/python ..." >&2; exit 1; }
