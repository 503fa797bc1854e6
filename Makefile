# `make demo` and `make test` do all the set-up; nothing else is needed beside Python 3.11.
SHELL := /bin/bash
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: demo profile test bench lint setup setup-test clean

demo: setup ## everything from a fresh clone to the dashboard on localhost:8501
	dvc repro
	streamlit run dashboard/app.py

test: setup-test ## lint, types and every test, on two cores; mypy, which takes one of them, beside the first tests
	ruff check . && ruff format --check .
	said=$$(mktemp); mypy >$$said 2>&1 & types=$$!; \
	python -m pytest -n 2 --durations=15; tests=$$?; \
	wait $$types; types=$$?; cat $$said; rm $$said; exit $$((tests || types))

profile: setup ## a shipped profile of params.yaml, every stage of it: make profile NAME=llama-1b
	dvc exp run -S '+profiles.$(NAME)=$${shipped.$(NAME)}' \
	  $$(dvc stage list --name-only | sed -nE '/^(organism|transcoders|adapters|materials)@/d; s/@organism(-(addition|agreement|recall|sentiment))?$$/@$(NAME)\1/p')

bench: setup-test ## the store's and the engine's bars, each a ratio in one run
	python -m tests.bench

setup: $(VENV)/.installed

setup-test: $(VENV)/.installed-test

$(VENV)/.installed: requirements.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	time $(BIN)/python -m pip install --disable-pip-version-check -r requirements.txt
	touch $@

$(VENV)/.installed-test: tests/requirements.txt $(VENV)/.installed
	$(BIN)/python -m pip install --disable-pip-version-check -r requirements.txt -r tests/requirements.txt
	bash tests/install_chromium.sh
	touch $@

clean: ## remove the environment and the item cache, never the artifacts
	rm -rf $(VENV) .cache
