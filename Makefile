.DEFAULT_GOAL := help
.PHONY: help install run test test-slow lint format bench pictures lock rasa rasa-model rasa-serve rasa-lock clean

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
	@$(BIN)/python -m tests.trained
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

# The second engine, in an environment of its own: nlu/rasa/README.md. RASA_CONFIG=config.diet.yml trains DIET instead.
RASA_CONFIG ?= config.yml
RASA_PORT ?= 5005

rasa: rasa-model ## Rasa beside the embedded engine: environment (once), training, live tests
	$(BIN)/pytest -q tests/rasa

rasa-model: install
	@folder=$$(sh nlu/rasa/environment) && $(BIN)/linsheng nlu export --out "$(LINSHENG_HOME)/rasa" && \
		"$$folder/bin/python" nlu/rasa/run.py train "$(LINSHENG_HOME)/rasa" --config $(RASA_CONFIG)

rasa-serve: ## The trained Rasa on 127.0.0.1:5005; then LINSHENG_NLU=rasa make run
	@folder=$$(sh nlu/rasa/environment) && exec "$$folder/bin/python" nlu/rasa/run.py serve "$(LINSHENG_HOME)/rasa" \
		--port $(RASA_PORT)

rasa-lock: install ## Pin what nlu/rasa/requirements.in asks for
	$(BIN)/pip install --quiet uv
	cd nlu/rasa && ../../$(BIN)/uv pip compile --quiet --python-version 3.10 --python-platform x86_64-manylinux_2_28 \
		--override overrides.txt --custom-compile-command "make rasa-lock" requirements.in -o requirements.lock

lock: ## Pin what pyproject.toml asks for
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --group dev pyproject.toml -o requirements.lock

clean: ## Remove what can be made again
	rm -rf $(VENV) var dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
