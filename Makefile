# `make demo` and `make test` need python3 (3.11 or newer, with venv) and nothing else; `make help` lists the rest.
# Each installs what it lacks into .venv once: a second run installs nothing and needs no network.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: demo test test-package lint format soak kill budget replay story siege fuzz bench-quick prices man
.PHONY: install uninstall purge wheels deb hooks clean help

# Override with `make PYTHON=/path/to/python3.12 …`.
PYTHON ?= $(shell for candidate in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$candidate" && break; \
	done)

BIN := .venv/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check install
export PIP_NO_INPUT := 1

# Where `make install` puts things, and where it takes them from: docs/install.md.
PREFIX ?= /usr/local
OPT ?= /opt/fairlead
PLACES = DESTDIR="$(DESTDIR)" PREFIX="$(PREFIX)" OPT="$(OPT)" SYSTEMD="$(SYSTEMD)" WHEELS="$(WHEELS)"

# The stamps say what is in .venv: each is renewed when what it depends on is newer.
VENV := .venv/.made
RUNTIME := .venv/.runtime
DEV := .venv/.dev
ACCEPTANCE := node_modules/.installed

demo: $(RUNTIME)  ## see it work: real traffic, an outage, the fallback, the recovery, the history
	$(BIN)/fairlead demo

test: lint node  ## run every check and every test
	$(BIN)/pytest --numprocesses=auto --dist=worksteal

test-package: $(DEV)  ## build the Debian package; install, renew and remove it in a clean root (as root, on Debian)
	FAIRLEAD_REQUIRE_PACKAGE=1 $(BIN)/pytest tests/packaging/test_package.py tests/packaging/test_upgrade.py

lint: $(DEV)  ## check the style, the types and the layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(DEV)  ## format the code and mend what can be mended mechanically
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

soak: $(DEV)  ## 2,000 requests by a real client while the primary is killed twice
	$(BIN)/python -m benchmarks.soak

kill: $(DEV)  ## kill -9 of the daemon under load, ten times: nothing that matters is forgotten
	$(BIN)/python -m benchmarks.kill

budget: $(DEV)  ## a hard budget under 64 clients, faults and kill -9: the ledger is the history, to the cent
	$(BIN)/python -m benchmarks.budget

replay: $(DEV)  ## 100,000 random choices, recorded and made again: each must come out alike
	$(BIN)/python -m benchmarks.replay

story: $(DEV)  ## two minutes of outage, brownout and rate limit: is routing as good as the simulator says
	$(BIN)/python -m benchmarks.story

siege: $(DEV)  ## fifteen attacks on a daemon, and what its other clients notice of them
	$(BIN)/python -m benchmarks.siege

fuzz: $(DEV)  ## 200,000 foreign inputs to every parser and both sockets; what breaks one is kept in fuzz-findings/
	$(BIN)/python -m benchmarks.fuzz

bench-quick: $(DEV)  ## what a request and a streamed chunk cost, beside haproxy; needs a C compiler
	$(BIN)/python -m benchmarks.quick

prices: $(DEV)  ## renew the price lists that come with fairlead from the installed genai-prices
	$(BIN)/python -m probes.pricing.renew $$(date -u +%F)

man: $(RUNTIME)  ## make the manual pages, in build/man
	$(BIN)/python -m daemon.manual docs build/man

install:  ## install it on this system, or another version over it (as root); see docs/install.md
	@$(PLACES) deploy/install.sh

uninstall:  ## remove what `make install` put; configuration and history stay
	@$(PLACES) deploy/uninstall.sh

purge:  ## remove configuration, history and user, too
	@$(PLACES) deploy/uninstall.sh purge

wheels:  ## collect the pinned packages in dist/wheels, for an installation without a network
	deploy/wheels.sh dist/wheels

deb:  ## build a Debian package, in dist; needs debhelper
	deploy/deb.sh dist

hooks: $(DEV)  ## run the checks before each commit
	$(BIN)/pre-commit install

clean:  ## remove everything that was installed or cached here
	rm -rf .venv node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*  ## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16

$(VENV):
	@test -n "$(PYTHON)" || { echo "make: no Python 3.11 or newer found; install one (Debian 12: apt install" \
		"python3 python3-venv) or name one: make PYTHON=/path/to/python3" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "make: $(PYTHON) is not Python 3.11" \
		"or newer" >&2; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { echo "make: $(PYTHON) cannot make environments; on" \
		"Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@echo "making an environment in .venv with $$("$(PYTHON)" --version)"
	@"$(PYTHON)" -m venv .venv
	@touch $@

$(RUNTIME): $(VENV) pyproject.toml requirements/runtime.txt
	@echo "installing fairlead and what it runs on"
	@$(PIP) --requirement requirements/runtime.txt
	@$(PIP) --no-deps --editable .
	@touch $@

$(DEV): $(RUNTIME) requirements/dev.txt
	@echo "installing what checks and tests need"
	@$(PIP) --requirement requirements/dev.txt
	@touch $@

# The acceptance tests drive the daemon against an independent mock provider where there is a node to run it.
.PHONY: node
ifneq ($(and $(shell command -v npm),$(shell node --version 2>/dev/null | grep -E '^v(2[0-9]|[3-9][0-9])\.')),)
node: $(ACCEPTANCE)
else
node:
	@echo "no npm with node 20 or newer: the acceptance tests against aimock will be skipped"
endif

$(ACCEPTANCE): package.json package-lock.json .npmrc
	@echo "installing the mock provider of the acceptance tests"
	@npm ci --silent --ignore-scripts && touch $@ || echo "npm could not install it: those tests will be skipped"
