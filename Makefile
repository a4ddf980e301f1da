PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test check bench docs lock

demo: .venv/.cpu
	$(BIN)/floodrunner run pipelines/quickstart.yaml

test: .venv/.dev
	$(BIN)/pytest

check: .venv/.dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/pytest

bench: .venv/.cpu
	for script in benchmarks/[a-z]*.py; do $(BIN)/python $$script || exit 1; done

docs: .venv/.cpu
	$(BIN)/floodrunner stages --markdown > docs/pipeline-reference.md

# A venv per checkout; each stamp is older than its lock file when that has changed.
.venv/.cpu .venv/.dev: .venv/.%: requirements/%.txt pyproject.toml | .venv/bin/python
	@echo "installing into .venv, a minute or a few"
	$(BIN)/python -m pip install --quiet --require-hashes -r $<
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	touch $@

.venv/bin/python:
	$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if (3, 11) <= v < (3, 14) else \
	  f"floodrunner needs Python 3.11, 3.12 or 3.13; $(PYTHON) is {v.major}.{v.minor}: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv || { rm -rf .venv; echo "no venv: on Debian and Ubuntu, apt install python3-venv"; exit 1; }

# Needs uv. `dev` holds everything, so the others are cut from its versions.
lock:
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header \
	  --extra stages --extra checkout --extra dev pyproject.toml -o requirements/dev.txt
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header \
	  --extra stages --extra checkout -c requirements/dev.txt pyproject.toml -o requirements/cpu.txt
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header \
	  -c requirements/dev.txt pyproject.toml -o requirements/runner.txt
