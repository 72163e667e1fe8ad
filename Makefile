.DEFAULT_GOAL := help
.PHONY: help install run test test-slow lint format bench pictures lock clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
export LINSHENG_HOME ?= var

help: ## What there is to run
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(STAMP) ## Make .venv with everything pinned in requirements.lock

$(STAMP): requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --requirement requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

run: install ## The demo town with the web chat on http://127.0.0.1:8080/chat
	LINSHENG_DEMO=true LINSHENG_LOG_JSON=false $(BIN)/linsheng serve

test: install ## All tests, on SQLite and PostgreSQL, a browser included
	@sh .ci/browser
	$(BIN)/pytest -n 2 --dist loadgroup

lint: install ## Style, types, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: install ## Let ruff write the style
	$(BIN)/ruff check --fix --quiet .
	$(BIN)/ruff format --quiet .

bench: install ## Figures, each with its floor or peer from the same run
	$(BIN)/python -m tests.benchmarks

pictures: install ## The pictures under docs/pictures, from the demo in a browser
	@sh .ci/browser
	LINSHENG_PICTURES=docs/pictures $(BIN)/pytest -q tests/browser

lock: ## Pin what pyproject.toml asks for
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --group dev pyproject.toml -o requirements.lock

clean: ## Remove what can be made again
	rm -rf $(VENV) var dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
