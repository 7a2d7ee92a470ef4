# Each target sets up what it needs first (scripts/setup): a virtual environment, locked dependencies, the compiled leaves.
#   PYTHON=/path/to/python   the interpreter to use (3.11 or newer; else python3.11, 3.12, 3.13, python3 are tried)
#   VENV=.venv               where the environment lives
VENV ?= .venv
PY := $(VENV)/bin/python
export PYTHON VENV

.DEFAULT_GOAL := help
.PHONY: help run gateway test check lint types layers docs bench format build setup lock clean

help: ## show this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-8s %s\n", $$1, $$2 }'

run: ## serve the chat on an embedded SQLite file (ARGS="..." are passed on)
	@scripts/setup run
	@exec $(PY) -m apps.chat $(ARGS)

users: ## serve the users app on an embedded SQLite file (ARGS="..." are passed on)
	@scripts/setup run
	@exec $(PY) -m apps.users $(ARGS)

gateway: ## an API gateway before three instances of the users app, with its dashboard (ARGS="..." are passed on)
	@scripts/setup run
	@exec $(PY) -m apps.gateway $(ARGS)

test: ## every check, then every test, with the compiled leaves and with the pure twin
	@scripts/setup dev
	@$(PY) scripts/check.py all

check: ## format, lint, types and layers, without the tests
	@scripts/setup dev
	@$(PY) scripts/check.py lint types layers

lint: ## ruff: format and rules
	@scripts/setup dev
	@$(PY) scripts/check.py lint

types: ## mypy and pyright, both strict
	@scripts/setup dev
	@$(PY) scripts/check.py types

layers: ## import-linter: which room may import which
	@scripts/setup dev
	@$(PY) scripts/check.py layers

docs: ## the documentation site, into build/docs
	@scripts/setup dev
	@$(PY) scripts/check.py docs
	@echo "open build/docs/index.html"

bench: ## a short run of the benchmarks (ARGS="..." are passed on)
	@scripts/setup dev
	@$(PY) -m benchmarks load --short $(ARGS)

format: ## rewrite the sources as ruff wants them
	@scripts/setup dev
	@$(PY) -m ruff format -q .
	@$(PY) -m ruff check -q --fix .

setup: ## only set up, for work on the project
	@scripts/setup dev

build: ## compile the leaves again (after installing a C compiler, say)
	@scripts/setup dev --rebuild

lock: ## lock the dependencies again (UPGRADE=1: to their newest versions)
	@scripts/lock $(if $(UPGRADE),--upgrade)

clean: ## remove everything that was made here
	rm -rf .venv .venv-lock .venv-bench build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find framework apps tests benchmarks scripts -name node_modules -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +
	find framework -name '*.so' -exec rm -f {} +
	find framework -name '*.c' -exec rm -f {} +
