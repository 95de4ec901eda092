# Everything there is to do with this tree; `make help` lists it.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PACKAGES := shared services/user-service services/cleanup-service services/task-service services/delivery-service gateway devstack
EDITABLE := $(addprefix -e ,$(PACKAGES))
COMPOSE := $(shell command -v docker-compose >/dev/null 2>&1 && echo docker-compose || echo docker compose)
PYTEST := $(BIN)/python -m pytest
PARALLEL := --numprocesses auto --dist loadscope
T ?=

# In parallel what does not mind, then one by one what kills or times processes. Status 5 says that nothing was chosen.
define run-tests
	$(PYTEST) $(PARALLEL) -m "$(1) and not serial" $(T) || test $$? -eq 5
	$(PYTEST) -m "$(1) and serial" $(T) || test $$? -eq 5
endef

.DEFAULT_GOAL := help

help: ## Show this list
	@grep -hE '^[a-z-]+:.*?## ' $(MAKEFILE_LIST) | awk 'BEGIN {FS = ":.*?## "} {printf "  %-14s %s\n", $$1, $$2}'

$(VENV)/installed: constraints.txt $(addsuffix /pyproject.toml,$(PACKAGES))
	@echo "Installing into $(VENV) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt $(EDITABLE)
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed requirements-dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --requirement requirements-dev.txt
	@touch $@

install: $(VENV)/installed ## Make the virtual environment and install everything that runs

run: $(VENV)/installed ## Run everything in one process on http://localhost:8000 (GATEWAY_PORT)
	@exec $(BIN)/python -m devstack run

run-native: $(VENV)/installed ## Run the processes of production against DATABASE_URL, BROKER_URL, REDIS_URL, SMTP_URL
	@exec $(BIN)/python -m devstack native

up: ## Build and run everything in containers
	$(COMPOSE) up --build --detach

down: ## Stop the containers; data stays
	$(COMPOSE) down

test: $(VENV)/installed-dev ## Run all tests on embedded parts and on real servers, started or installed where absent (T=path)
	$(call run-tests,not long)

test-embedded: $(VENV)/installed-dev ## Run the tests that need no server
	$(call run-tests,not servers and not long)

test-all: $(VENV)/installed-dev ## Run every test, the random and long ones too
	$(call run-tests,not long)
	$(PYTEST) -m long $(T) || test $$? -eq 5

test-containers: $(VENV)/installed-dev ## Run the system tests against the containers of `make up`, best with CLEANUP_INTERVAL_SECONDS=86400
	TEST_COMPOSE_PROJECT=$${COMPOSE_PROJECT_NAME:-$(notdir $(CURDIR))} $(PYTEST) tests/system -k containers

coverage: $(VENV)/installed-dev ## Run the tests that run in parallel and print lines and branches covered; HTML in htmlcov/
	$(PYTEST) $(PARALLEL) -m "not long and not serial" --cov --cov-branch --cov-report=term --cov-report=html $(T)

check: $(VENV)/installed-dev ## Lint, format, types, import rules, generated documents
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m event_contracts docs --check

format: $(VENV)/installed-dev ## Format the code and mend what the linter can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/installed-dev ## Measure, beside peers doing the same work; results go to bench/results/
	$(BIN)/python -m bench

clean: ## Remove the virtual environment and all local data
	rm -rf $(VENV) .data

.PHONY: help install run run-native up down test test-embedded test-all test-containers coverage check format bench clean
