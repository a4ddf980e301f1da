PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo gpu containers wheel offline test check fuzz bench docs lock

# After `make gpu`, what it installed is used; the tests always install the packages for a CPU.
STEPS := $(if $(wildcard .venv/.gpu),.venv/.gpu,.venv/.cpu)

demo: $(STEPS)
	$(BIN)/floodrunner run quickstart

# For an NVIDIA GPU without Docker: TensorFlow with CUDA, or JAX where the card needs it; steps use what is there.
gpu: .venv/.gpu
	@echo "Next: $(BIN)/floodrunner run quickstart --engine local"

containers: .venv/.runner
	$(BIN)/floodrunner build

# Two workers; tests of one group, such as those that use the Docker engine, stay in one of them.
PYTEST := $(BIN)/pytest --numprocesses 2 --dist loadgroup

# What pip installs anywhere: everything is in one file, and an extra brings the packages that steps need.
wheel: .venv/.runner
	rm -f dist/floodrunner-*.whl
	$(BIN)/python -m hatchling build -t wheel
	@echo "Next: pip install '$$(ls dist/floodrunner-*.whl)[cpu]' (or [gpu], [gpu-jax])"

# For a machine without network, with the same Python and kind of processor. EXTRA=gpu packs for a GPU.
EXTRA ?= cpu
ifneq (,$(filter offline,$(MAKECMDGOALS)))
ifneq ($(EXTRA),$(filter cpu gpu gpu-jax,$(firstword $(EXTRA))))
$(error EXTRA=$(EXTRA): there is no such extra; choose cpu, gpu or gpu-jax)
endif
endif
PACK := floodrunner-offline-$(EXTRA)
offline: wheel
	rm -rf dist/$(PACK) dist/$(PACK).tar
	$(BIN)/python requirements/install.py --download dist/$(PACK) requirements/runner.txt requirements/$(EXTRA).txt
	cp dist/floodrunner-*.whl dist/$(PACK)
	tar -C dist -cf dist/$(PACK).tar $(PACK)
	@$(BIN)/python -c 'import platform, sys; print("dist/$(PACK).tar is for Python %s.%s on %s %s. Copy it there, and:" \
	  % (*sys.version_info[:2], platform.system(), platform.machine()))'
	@echo "  tar -xf $(PACK).tar && python3 -m venv floodrunner && floodrunner/bin/pip install --no-index" \
	  "--find-links $(PACK) 'floodrunner[$(EXTRA)]'"

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

bench: $(STEPS)
	for script in benchmarks/[a-z]*.py; do $(BIN)/python $$script || exit 1; done

docs: .venv/.runner
	$(BIN)/floodrunner stages --markdown > docs/pipeline-reference.md

# One .venv per checkout. Each stamp file depends on lock files; when one of these is newer, make installs again.
.venv/.runner: requirements/runner.txt
.venv/.cpu: requirements/runner.txt requirements/cpu.txt
.venv/.dev: requirements/dev.txt
.venv/.runner .venv/.cpu .venv/.dev: pyproject.toml | .venv/bin/python
	@echo "installing into .venv; this takes a few minutes"
	@$(BIN)/python requirements/install.py $(filter %.txt,$^)
	@$(EDITABLE)
	@[ $@ = .venv/.runner ] || rm -f .venv/.gpu
	@touch $@

.venv/.gpu: pyproject.toml requirements/runner.txt requirements/gpu.txt requirements/gpu-jax.txt | .venv/.runner
	@lock=$$($(BIN)/python -m floodrunner.runner.installed) && echo "installing into .venv; this takes some minutes" && \
	  $(BIN)/python requirements/install.py requirements/runner.txt $$lock
	@$(EDITABLE)
	@rm -f .venv/.cpu .venv/.dev
	@touch $@

EDITABLE := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .

.venv/bin/python:
	$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if (3, 11) <= v < (3, 14) else \
	  f"floodrunner needs Python 3.11, 3.12 or 3.13; $(PYTHON) is {v.major}.{v.minor}: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv || { rm -rf .venv; echo "no venv: on Debian and Ubuntu, apt install python3-venv"; exit 1; }

# Needs uv. dev.txt holds every package for a CPU; the other files take their versions from it.
# Images install cpu.txt, gpu.txt or gpu-jax.txt: the packages that stages need, none that only the runner needs.
COMPILE := uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header
lock:
	$(COMPILE) --extra cpu --extra checkout --extra dev pyproject.toml -o requirements/dev.txt
	$(COMPILE) --extra checkout -c requirements/dev.txt pyproject.toml -o requirements/runner.txt
	$(call needs,cpu) | $(COMPILE) -c requirements/dev.txt - -o requirements/cpu.txt
	$(call needs,gpu) | $(COMPILE) -c requirements/dev.txt - -o requirements/gpu.txt
	$(call needs,gpu-jax) | $(COMPILE) -c requirements/dev.txt - -o requirements/gpu-jax.txt

# The requirements of an extra and of the extras that it names, and pydantic, with which stages read their parameters.
needs = python3 -c 'import tomllib; project = tomllib.load(open("pyproject.toml", "rb"))["project"]; \
  extras, ours = project["optional-dependencies"], "floodrunner["; \
  all_of = lambda extra: [each for line in extras[extra] \
  for each in (all_of(line[len(ours):-1]) if line.startswith(ours) else [line])]; \
  print(*[line for line in project["dependencies"] if line.startswith("pydantic")], *all_of("$1"), sep="\n")'
