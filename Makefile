# Everything works from a clean clone with Python >= 3.11 and make; the first target to run sets up .venv.
# ARGS is handed on: make test ARGS="-k signature"

BIN := .venv/bin
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup clients demo test check fmt bench mutants chaos lock clean

help: ## Say what there is
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile | expand -t 10

setup: ## Make or update .venv
	@scripts/setup.sh

clients: setup
	@scripts/clients.sh

demo: setup ## See a prediction ring back, in a minute
	@scripts/clients.sh replicate-1
	.clients/replicate-1/bin/python demo/demo.py $(ARGS)

test: clients ## Run all tests
	$(BIN)/pytest -n auto --maxprocesses 4 --dist loadfile $(ARGS)

check: setup ## Lint, formatting, types, floors
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

fmt: setup ## Format and fix what can be fixed
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

bench: setup ## Measure (PEERS=1: beside what people use)
	$(BIN)/python bench/run.py $(if $(PEERS),--peers) $(ARGS)

mutants: clients ## Break each promise on purpose; its test must notice
	$(BIN)/python tests/mutants/run.py $(ARGS)

chaos: setup ## Kill it under load, again and again (KILLS=100 SEED=1, MUTANTS=1)
	$(BIN)/python chaos/run.py $(if $(KILLS),--kills $(KILLS)) $(if $(SEED),--seed $(SEED)) \
		$(if $(DATABASE),--database $(DATABASE)) $(if $(MUTANTS),--mutants) $(ARGS)

lock: setup ## Lock the requirements anew (UPGRADE=1: newer versions)
	@scripts/lock.sh

clean: ## Remove what make made; never data
	rm -rf $(BIN:/bin=) .clients tests/clients/node_modules .demo .bench .chaos .mutants .fresh
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find src tests bench chaos demo -name __pycache__ -prune -exec rm -rf {} +
