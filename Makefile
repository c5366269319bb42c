# `make run` tags an article, `make test` runs the tests; both set up .venv first.
PYTHON ?= python3
PY := .venv/bin/python

.PHONY: run test test-slow lint

.venv/installed: setup.cfg pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(PY) -m pip install --quiet --constraint constraints.txt --editable '.[test]'
	touch $@

run: .venv/installed
	$(PY) scripts/download_checkpoints.py
	$(PY) scripts/tag_article.py

test: .venv/installed
	$(PY) -m pytest

test-slow: .venv/installed
	$(PY) -m pytest --slow -m slow

lint: .venv/installed
	$(PY) -m pip install --quiet --constraint constraints.txt '.[dev]'
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
