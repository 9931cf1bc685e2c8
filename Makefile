# Everything a person runs. Needs only make and Python 3.11-3.13; installs into .venv, never as root, never elsewhere.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3 python; do $$p -c 'import sys; sys.exit(not (3,11) <= sys.version_info[:2] <= (3,13))' 2>/dev/null && echo $$p && break; done)
VENV ?= .venv
# Processes that share the test files: one per core, or 0 for one after the other.
WORKERS ?= auto
# What tests draw follows from this number; without it every run draws anew and prints it. CITYLAKE_TEST_DRAWS=4 draws
# four times as often where that takes long (tests/draws.py).
DRAWN := $(if $(CITYLAKE_TEST_SEED),--hypothesis-seed=$(CITYLAKE_TEST_SEED))
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
SHARED = $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(DRAWN)
DEMO := $(if $(ONCE),--once) $(if $(SCALE),--scale $(SCALE)) $(if $(SEED),--seed $(SEED))
export PYTHONUTF8 = 1
export DO_NOT_TRACK = 1
export DAGSTER_DISABLE_TELEMETRY = 1
export GX_ANALYTICS_ENABLED = false

.PHONY: help demo test test-long test-slow lint check bench clean lock python

help:
	@echo "make demo        六安演示城市：门户与 Dagster / the demo city (ONCE=1 exits when published, SCALE=n persons)"
	@echo "make test        全部检查和快速测试 / all checks and the quick tests"
	@echo "make test-long   耗时较长的测试 / tests that take long"
	@echo "make test-slow   慢速测试 / the slow suite"
	@echo "make bench       基准 / benchmarks"

python:
	@test -n "$(PYTHON)" || { echo "需要 Python 3.11、3.12 或 3.13，本机没有找到。请安装后重试，或执行 make PYTHON=/路径/python3.12"; echo "citylake needs Python 3.11, 3.12 or 3.13 and found none. Install one, or run make PYTHON=/path/to/python3.12"; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(not (3,11) <= sys.version_info[:2] <= (3,13))' || { echo "需要 Python 3.11-3.13，$(PYTHON) 是 $$($(PYTHON) --version) / citylake needs Python 3.11-3.13"; exit 1; }

# One stamp per set of locks: an unchanged lock installs nothing.
$(VENV)/.runtime: requirements/build.txt requirements/runtime.txt pyproject.toml | python
	@test -x $(BIN)/python || "$(PYTHON)" -m venv $(VENV)
	@echo "安装依赖（首次约一分钟）/ installing dependencies (about a minute the first time)" >&2
	@$(PIP) install --require-hashes -r requirements/build.txt -r requirements/runtime.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.runtime
	@$(PIP) install --require-hashes -r requirements/dev.txt
	@touch $@

demo: $(VENV)/.runtime
	@$(BIN)/python -m citylake demo up $(DEMO)

lint: $(VENV)/.dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/citylake contract check

# Checks beside the tests: most of them use one core alone. What they find is told at once; the tests go on.
test: $(VENV)/.dev
	@$(MAKE) --no-print-directory lint & checks=$$!; $(SHARED) -m "not slow and not long"; tests=$$?; \
	wait $$checks || { echo "检查未通过，见上文 / the checks failed, see above" >&2; exit 1; }; exit $$tests

# Tests that take long: what .ci/run asks for besides, so that `make test` is done in a quarter of an hour.
test-long: $(VENV)/.dev
	@$(SHARED) -m "long and not slow"

test-slow: $(VENV)/.dev
	@$(BIN)/python -m pytest -m slow $(DRAWN)

bench: $(VENV)/.dev
	@$(BIN)/python -m benchmarks.admission
	@$(BIN)/python -m benchmarks.rules
	@$(BIN)/python -m benchmarks.snapshot
	@$(BIN)/python -m benchmarks.files
	@$(BIN)/python -m benchmarks.mysql
	@$(BIN)/python -m benchmarks.identifiers
	@$(BIN)/python -m benchmarks.geometry
	@$(BIN)/python -m benchmarks.addresses
	@$(BIN)/python -m benchmarks.linkage
	@$(BIN)/python -m benchmarks.truth
	@$(BIN)/python -m benchmarks.lineage
	@$(BIN)/python -m benchmarks.audit
	@$(BIN)/python -m benchmarks.rows
	@$(BIN)/python -m benchmarks.clients
	@$(BIN)/python -m benchmarks.day
	@$(BIN)/python -m benchmarks.city
	@$(BIN)/python -m benchmarks.downloads

clean:
	rm -rf .citylake .mypy_cache .ruff_cache .pytest_cache

# Locks name no registry: a mirror in pip's own configuration is used as it is.
LOCK := $(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --no-annotate --no-strip-extras --quiet
lock: $(VENV)/.dev
	@$(PIP) install uv
	@$(LOCK) requirements/build.in -o requirements/build.txt
	@$(LOCK) pyproject.toml -o requirements/runtime.txt
	@$(LOCK) pyproject.toml --extra dev -c requirements/runtime.txt -o requirements/dev.txt
	@$(LOCK) requirements/spark.in -o requirements/spark.txt
	@$(LOCK) requirements/sharing-client.in -o requirements/sharing-client.txt
	@$(LOCK) requirements/frictionless.in -o requirements/frictionless.txt
	@$(LOCK) requirements/dlt.in -o requirements/dlt.txt
