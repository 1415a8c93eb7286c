# The verbs of this project. Each sets up what it needs in .venv and may be the first one run on a bare checkout;
# it asks for Python 3.11 or newer (with its headers), a C++20 compiler and make. Everything else comes from PyPI.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
# One recipe at a time: they share .venv and build/. The native build is parallel inside.
.NOTPARALLEL:
.DEFAULT_GOAL := help

export CMAKE_BUILD_PARALLEL_LEVEL ?= 2
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_ROOT_USER_ACTION := ignore
export PIP_USER := 0
export PIP_PROGRESS_BAR := off
# An active environment of the caller must not leak into ours.
unexport PYTHONPATH PYTHONHOME VIRTUAL_ENV

VENV := .venv
BIN := $(abspath $(VENV))/bin
CALLER_PATH := $(PATH)
export PATH := $(BIN):$(PATH)
DONE := $(VENV)/done

# Folders too: a file that went away leaves its trace in them alone.
SOURCES := $(shell find src grammar -name __pycache__ -prune -o -print) CMakeLists.txt pyproject.toml

help: ## list the verbs
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(DONE)/installed ## the tour: load conversations, query as two users, reopen
	@$(BIN)/python examples/demo.py

# Two processes, as many as the smallest machine it must be quick on has cores.
test: $(DONE)/installed $(DONE)/test ## every test, the .slt scripts among them (ARGS="-k name" for some)
	@$(BIN)/python -m pytest -q --numprocesses $${KALAM_TEST_PROCESSES:-2} --dist worksteal $(ARGS)

coverage: $(DONE)/installed $(DONE)/test ## the same, with the branches of kalamdb that no test took
	@$(BIN)/python -m pytest -q --cov --cov-report=term $(ARGS)

check: lint types imports ## lint, format, types, stubs against the built modules, import contract

lint: $(DONE)/check
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/cython-lint src/kalamcore
	$(BIN)/clang-format --dry-run -Werror $$(find src/kalamcore/cpp tests -name '*.[ch]pp')

types: $(DONE)/installed $(DONE)/check
	$(BIN)/mypy --no-error-summary src/kalamdb src/kalamcore tests/typing examples bench
	$(BIN)/python -m mypy.stubtest --concise --mypy-config-file tests/stubtest_mypy.ini --allowlist tests/stubtest_allowlist.txt kalamcore

imports: $(DONE)/check
	PYTHONPATH=src $(BIN)/lint-imports --no-cache

bench: $(DONE)/installed $(DONE)/bench ## the questions of performance, each beside its peer (ARGS as for test)
	@mkdir -p bench/report
	@$(BIN)/python -m pytest -q bench -p no:cacheprovider --benchmark-disable-gc --benchmark-quiet \
	    --benchmark-json=bench/report/results.json $(ARGS)
	@$(BIN)/python bench/report.py

docs: export NO_MKDOCS_2_WARNING := 1
docs: $(DONE)/installed $(DONE)/test ## build the site into build/site, and run every example in it
	@# Not --quiet: that would keep warnings from being counted, and strict from being strict.
	@said=$$($(BIN)/mkdocs build --strict 2>&1) || { echo "$$said" | grep -v ^INFO; exit 1; }
	@$(BIN)/python -m pytest -q tests/test_docs.py tests/docs
	@echo "the site is in build/site; to read it: $(VENV)/bin/mkdocs serve"

proof: $(DONE)/installed $(DONE)/test ## crashes, kills, failing disks, isolation, ids: all that test samples, in full; figures to docs/proof.md
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && \
	    ! { command -v xfs_io && command -v mkfs.ext4 && command -v nbdkit && command -v nbdfuse; } >/dev/null; then \
	    apt-get install -qq -y xfsprogs e2fsprogs nbdkit libnbd-bin >/dev/null || \
	        echo "no xfsprogs, e2fsprogs, nbdkit and libnbd-bin: what needs them is left out"; fi
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && ! command -v chromium >/dev/null; then \
	    apt-get install -qq -y --no-install-recommends chromium >/dev/null || \
	        echo "no Chromium: the page in a browser is left out"; fi
	@$(BIN)/python -m tests.crash --times $${KALAM_PROOF_TIMES:-1} $(ARGS)

sanitize: $(DONE)/build $(DONE)/installed $(DONE)/test ## ASan, UBSan and TSan on core, drivers and an eight-thread mix
	@$(BIN)/python tests/native/sanitize.py $(ARGS)

fuzz: $(DONE)/installed $(DONE)/test $(DONE)/fuzz ## Atheris on scanner, grammar, log reader, rows, manifest
	@$(BIN)/python -m tests.fuzz $(ARGS)

# Long: all of it, many times over. Each number may be given, as KALAM_FUZZ_SECONDS=60.
soak: export KALAM_PROOF_TIMES ?= 10
soak: export KALAM_FUZZ_SECONDS ?= 14400
soak: export KALAM_SANITIZE_SECONDS ?= 3600
soak: proof fuzz sanitize ## the three above, many times over

# `install` needs what is in dist/ alone; a release, what is in dist/release: each file of it was installed and run.
wheel: $(DONE)/wheel $(DONE)/wheels ## the wheel for others and the sdist into dist/release/, each tried where nothing else is
	@$(BIN)/python packaging/release.py

develop: $(DONE)/build ## an editable install that rebuilds itself (see CONTRIBUTING.md)
	@$(BIN)/pip install -q --no-build-isolation -C editable.rebuild=true -e .
	@touch $(DONE)/develop $(DONE)/installed

format: $(DONE)/check ## rewrite the sources in house style
	$(BIN)/ruff check --quiet --fix . || true
	$(BIN)/ruff format --quiet .
	$(BIN)/clang-format -i $$(find src/kalamcore/cpp tests -name '*.[ch]pp')

clean: ## remove what was built
	rm -rf $(VENV) build dist bench/report .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help demo test coverage check lint types imports bench docs proof sanitize fuzz soak wheel develop format clean

# The first Python that can carry us: new enough, able to make environments, with the headers native modules need.
$(DONE)/venv:
	@rm -rf $(VENV); python=; export PATH="$(CALLER_PATH)"; \
	for candidate in $(PYTHON) python3.14 python3.13 python3.12 python3.11 python3; do \
	    if "$$candidate" -c 'import ensurepip, os, sys, sysconfig, venv; \
	        header = os.path.join(sysconfig.get_path("include"), "Python.h"); \
	        sys.exit(sys.version_info < (3, 11) or not os.path.exists(header))' >/dev/null 2>&1; \
	    then python=$$candidate; break; fi; \
	done; \
	if [ -z "$$python" ]; then \
	    echo "kalamdb needs Python 3.11 or newer with venv and headers (Debian: python3-venv python3-dev);" \
	        "name one with: make PYTHON=/path/to/python3" >&2; exit 1; \
	fi; \
	echo "setting up $(VENV) with $$("$$python" --version)"; \
	"$$python" -m venv $(VENV)
	@$(BIN)/python -m pip install -q 'pip>=25.1,<27'
	@mkdir -p $(DONE) && touch $@

$(DONE)/wheels: pyproject.toml | $(DONE)/venv
	@echo "installing what wheel needs"
	@$(BIN)/pip install -q --group wheel
	@touch $@

$(DONE)/build $(DONE)/test $(DONE)/check: $(DONE)/%: pyproject.toml | $(DONE)/venv
	@echo "installing what $* needs"
	@$(BIN)/pip install -q --group $*
	@touch $@

$(DONE)/fuzz: pyproject.toml | $(DONE)/venv
	@echo "installing what fuzz needs"
	@$(BIN)/pip install -q --only-binary atheris --group fuzz || { \
	    echo "Atheris is not to be had for $$($(BIN)/python --version) on this system; make test runs the fuzzers" \
	        "without it" >&2; exit 1; }
	@touch $@

$(DONE)/bench: bench/compare/requirements.txt $(DONE)/test
	@echo "installing the peers"
	@$(BIN)/pip install -q -r $<
	@touch $@

# Built without isolation, so that build/ is reused and only what changed is compiled.
$(DONE)/wheel: $(SOURCES) | $(DONE)/build
	@echo "building the wheel"
	@rm -rf dist
	@$(BIN)/pip wheel -q --no-build-isolation --no-deps -w dist .
	@touch $@

# After `make develop` the sources themselves are installed, and stay so until `make clean`.
ifneq ($(wildcard $(DONE)/develop),)
$(DONE)/installed:
else
$(DONE)/installed: $(DONE)/wheel
	@echo "installing kalamdb"
	@$(BIN)/pip install -q dist/*.whl
	@$(BIN)/pip install -q --force-reinstall --no-deps dist/*.whl
	@touch $@
endif
