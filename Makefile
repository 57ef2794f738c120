# `make help` lists what there is. Two environments: .venv holds the default stack (TensorFlow 2.17
# with tensorflow-io), .venv-next the newest TensorFlow that Kapre admits. `make bench` has a third:
# .venv-bench, the default stack with PyTorch beside it.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# Another interpreter: `make venv PYTHON=/path/to/python3.12`.
PYTHON ?=
BIN := .venv/bin
NEXT_BIN := .venv-next/bin
BENCH_BIN := .venv-bench/bin
DEFAULT_LOCK := requirements/lock-tf2.17
NEXT_LOCK := requirements/lock-tf2.20
# Two processes, each file of tests in one of them, which shares what the file makes.
PYTEST := pytest -n 2 --dist loadfile

# A name on the PATH proves nothing (version managers put shims there), so each one is run.
RUNS := import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info < (3, 13))

# uv installs in a quarter of pip's time. It knows nothing of pip's settings, so where it fails
# pip has its turn. Compiled here, TensorFlow starts in a third of the time, in every process.
define make_environment
@for python in $(or $(PYTHON),python3.12 python3.11 python3); do \
	"$$python" -c '$(RUNS)' >/dev/null 2>&1 && break; python=; \
done; \
if [ -z "$$python" ]; then \
	echo "mmat: no working $(or $(PYTHON),Python 3.11 or 3.12) with venv found; install one (Debian: python3 and python3-venv) or name it: make venv PYTHON=/path/to/python3.12" >&2; \
	exit 1; \
fi; \
echo "mmat: making $(@D) with $$("$$python" --version) from $<"; \
"$$python" -m venv --clear $(@D) && \
{ $(@D)/bin/python -m pip install --quiet --disable-pip-version-check --constraint $< uv && \
  $(@D)/bin/uv pip install --quiet --compile-bytecode --python $(@D)/bin/python --requirement $< || \
  $(@D)/bin/python -m pip install --disable-pip-version-check --requirement $<; }
@touch $@
endef

define install_mmat
@$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
@touch $@
endef

.PHONY: help
help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 20

.PHONY: venv
venv: .venv/mmat.stamp  ## the environment for everything below, in .venv

.PHONY: venv-next
venv-next: .venv-next/mmat.stamp  ## the second environment, in .venv-next

.venv/lock.stamp: $(DEFAULT_LOCK).txt
	$(make_environment)

.venv-next/lock.stamp: $(NEXT_LOCK).txt
	$(make_environment)

.venv-bench/lock.stamp: $(DEFAULT_LOCK).txt
	$(make_environment)

# By pip and not by uv: on a machine without a graphics card pip's settings may name PyTorch's far
# smaller builds for CPUs.
.venv-bench/bench.stamp: .venv-bench/mmat.stamp requirements/bench.txt
	@$(BENCH_BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation \
		--constraint $(DEFAULT_LOCK).txt --constraint requirements/bench.txt --editable ".[bench]"
	@touch $@

%/mmat.stamp: %/lock.stamp setup.py pyproject.toml
	$(install_mmat)

.PHONY: fetch
fetch: venv  ## the embedded weights, the mini corpus and the recordings of speech, into the cache
	$(BIN)/mmat fetch models
	$(BIN)/mmat fetch mini
	$(BIN)/mmat fetch speech-emotion

.PHONY: demo
demo: fetch  ## prepare, train, evaluate, export and tag on the mini corpus
	$(BIN)/python experiments/mini.py

.PHONY: lint
lint: venv  ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

.PHONY: test
test: lint fetch  ## lint and all tests
	$(BIN)/python -m $(PYTEST)

.PHONY: test-long
test-long: fetch  ## the tests that take minutes, which `make test` leaves out
	$(BIN)/python -m pytest tests/long

.PHONY: test-page
test-page: fetch  ## the pages of `mmat app` and of an export in a real browser, Debian's chromium
	@{ command -v chromium && command -v npm; } >/dev/null || { test "$$(id -u)" = 0 && \
		apt-get update && \
		apt-get install --yes --no-install-recommends chromium fonts-dejavu-core npm; } || \
		{ echo "mmat: chromium or npm is not there; install them (Debian: chromium npm)" >&2; exit 1; }
	$(BIN)/python -m pytest tests/page

.PHONY: test-next
test-next: venv-next  ## all tests with the newest TensorFlow
	$(NEXT_BIN)/mmat fetch models
	$(NEXT_BIN)/mmat fetch mini
	$(NEXT_BIN)/mmat fetch speech-emotion
	$(NEXT_BIN)/python -m $(PYTEST)

.PHONY: bench
bench: .venv-bench/bench.stamp  ## speed and memory beside what one would pick instead: docs/performance.md
	$(BENCH_BIN)/mmat fetch models
	$(BENCH_BIN)/python -m pytest --quiet tests/benchmarks/test_torch_peers.py
	$(BENCH_BIN)/python -m benchmarks
	$(BENCH_BIN)/python -m benchmarks.tables

.PHONY: format
format: venv  ## ruff: mend rules and format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The same versions serve Python 3.11 and 3.12.
COMPILE = $(BIN)/uv pip compile --quiet --universal --fork-strategy fewest --python-version 3.11 \
	--no-header --no-annotate --upgrade setup.py --extra app --extra dev --extra beam --extra parquet \
	--extra onnx

define resolve
$(COMPILE) $(2) $(1).in --output-file $(1).part
sed -i '1i # Made by `make lock` from setup.py and $(1).in; not to be edited.' $(1).part
cmp --silent $(1).part $(1).txt || cp $(1).part $(1).txt
rm $(1).part
endef

.PHONY: lock
lock: venv  ## both lock files anew, with today's versions
	$(call resolve,$(DEFAULT_LOCK),--extra tfio)
	$(call resolve,$(NEXT_LOCK),)

.PHONY: clean
clean:  ## remove the environments and what tools leave; runs/ and the cache stay
	rm -rf .venv .venv-next .venv-bench build dist *.egg-info .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
