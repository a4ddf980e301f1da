PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo containers test check fuzz bench docs lock

demo: .venv/.cpu
	$(BIN)/floodrunner run pipelines/quickstart.yaml

containers: .venv/.runner
	$(BIN)/floodrunner build

# Two workers; tests of one group, such as those that use the Docker engine, stay in one of them.
PYTEST := $(BIN)/pytest --numprocesses 2 --dist loadgroup

test: .venv/.dev
	$(PYTEST)

# The coverage that is required is in pyproject.toml.
check: .venv/.dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(PYTEST) --cov --cov-report=

# Damaged files of each format, some minutes for each hundred mutants; `python -m tests.fuzz --help` for one format.
FUZZ_MUTANTS ?= 500
fuzz: .venv/.dev
	$(BIN)/python -m tests.fuzz --mutants $(FUZZ_MUTANTS)

bench: .venv/.cpu
	for script in benchmarks/[a-z]*.py; do $(BIN)/python $$script || exit 1; done

docs: .venv/.cpu
	$(BIN)/floodrunner stages --markdown > docs/pipeline-reference.md

# One .venv per checkout. Each stamp file depends on lock files; when one of these is newer, make installs again.
.venv/.runner: requirements/runner.txt
.venv/.cpu: requirements/runner.txt requirements/cpu.txt
.venv/.dev: requirements/dev.txt
.venv/.runner .venv/.cpu .venv/.dev: pyproject.toml | .venv/bin/python
	@echo "installing into .venv; this takes a few minutes"
	$(BIN)/python -m pip install --quiet --require-hashes $(patsubst %,-r %,$(filter %.txt,$^))
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	touch $@

.venv/bin/python:
	$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if (3, 11) <= v < (3, 14) else \
	  f"floodrunner needs Python 3.11, 3.12 or 3.13; $(PYTHON) is {v.major}.{v.minor}: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv || { rm -rf .venv; echo "no venv: on Debian and Ubuntu, apt install python3-venv"; exit 1; }

# Needs uv. dev.txt holds every package for a CPU; the other files take their versions from it.
# Images install cpu.txt, gpu.txt or gpu-jax.txt: the packages that stages need, none that only the runner needs.
COMPILE := uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header
lock:
	$(COMPILE) --extra stages --extra checkout --extra dev pyproject.toml -o requirements/dev.txt
	$(COMPILE) --extra checkout -c requirements/dev.txt pyproject.toml -o requirements/runner.txt
	$(call needs,stages) | $(COMPILE) -c requirements/dev.txt - -o requirements/cpu.txt
	$(call needs,stages gpu) | $(COMPILE) -c requirements/dev.txt - -o requirements/gpu.txt
	$(call needs,stages gpu-jax) | $(COMPILE) -c requirements/dev.txt - -o requirements/gpu-jax.txt

# The requirements of the extra `stages` and of a second extra; if the second names a TensorFlow, only that one is kept.
needs = python3 -c 'import tomllib; project = tomllib.load(open("pyproject.toml", "rb"))["project"]; \
  stages, *backend = [project["optional-dependencies"][extra] for extra in "$1".split()]; \
  print(*[line for line in project["dependencies"] if line.startswith("pydantic")], *[line for line in stages \
  if not (line.startswith("tensorflow") and "tensorflow" in str(backend))], *sum(backend, []), sep="\n")'
