# Everything that is done with this checkout by hand or by CI. `make` lists it.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

VENV ?= .venv
BENCH := .venv-bench
AUTOBAHN := .venv-autobahn
PORT ?= 8000
ARGS ?=
ASSETS := workers/static/vendor/.stamp
AXE := tests/vendor/.stamp
BIN := $(abspath $(VENV))/bin
PIP := -m pip --disable-pip-version-check --quiet
# The Pythons that pyenv has, where there is one, for tox to find.
PYENV := $(shell command -v pyenv >/dev/null && echo $$(pyenv root)/versions/*/bin)
space := $(subst ,, )

.PHONY: help setup assets demo test acceptance soak soak-hour autobahn check lint types floors matrix bench deploy-files docs clean tests-need

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo 'ARGS hands options on: make test ARGS="-k word", make bench ARGS=--quick'

# Environments: made again when setup.py or pyproject.toml changes ---------------------------

%/bin/python:
	@python=$$(bash tools/find-python) && "$$python" -m venv $*

$(VENV)/.runtime: setup.py pyproject.toml | $(BIN)/python
	@echo "Installing channels-classic into $(VENV)"
	@$(BIN)/python $(PIP) install --editable '.[example]'
	@touch $@

$(VENV)/.dev: setup.py pyproject.toml | $(BIN)/python
	@echo "Installing channels-classic and the tools of its developers into $(VENV)"
	@$(BIN)/python $(PIP) install --editable '.[dev]'
	@touch $(VENV)/.runtime $@

setup: $(VENV)/.dev  ## environment in .venv, git hooks
	@if git rev-parse --git-dir >/dev/null 2>&1 && ! git config core.hooksPath >/dev/null; then \
		git config core.hooksPath .githooks; \
	fi
	@echo "Ready: $(VENV)/bin/channels-classic, make test, make demo"

$(BENCH)/.installed: setup.py pyproject.toml benchmarks/requirements.txt | $(BENCH)/bin/python
	@echo "Installing the benchmarks' contestants into $(BENCH)"
	@$(BENCH)/bin/python $(PIP) install --requirement benchmarks/requirements.txt
	@touch $@

# The suite runs on Python 2.7 alone, for which a new virtualenv makes no environment.
$(AUTOBAHN)/.installed: tests/autobahn/requirements.txt | $(BIN)/python
	@echo "Installing the fuzzing client of Autobahn into $(AUTOBAHN)"
	@bash tools/debian cc:build-essential
	@python=$$(bash tools/find-python2) && rm -rf $(AUTOBAHN) && \
		$(BIN)/python -m venv $(AUTOBAHN)/maker && \
		$(AUTOBAHN)/maker/bin/python $(PIP) install 'virtualenv<20.22' && \
		$(AUTOBAHN)/maker/bin/virtualenv --quiet --python "$$python" $(AUTOBAHN)/python2
	@$(AUTOBAHN)/python2/bin/python $(PIP) --no-python-version-warning install --requirement $<
	@touch $@

$(ASSETS): workers/package.json tools/assets.py | $(BIN)/python
	@$(BIN)/python tools/assets.py
	@touch $@

$(AXE): tests/package.json tools/assets.py | $(BIN)/python
	@$(BIN)/python tools/assets.py --pins tests/package.json --to tests/vendor
	@touch $@

assets: $(ASSETS)  ## scripts of others that pages of the example site load, from npm's registry

tests-need: $(AXE)
	@bash tools/debian redis-server:redis-server nginx:nginx curl:curl chromium:chromium \
		chromedriver:chromium-driver systemd-analyze:systemd \
		pg_ctlcluster:postgresql h2load:nghttp2-client ip:iproute2

# See it -----------------------------------------------------------------------------------

demo: export REDIS_URL =
demo: $(VENV)/.runtime $(ASSETS)  ## the example site at http://127.0.0.1:8000/, all in one process
	@$(BIN)/python workers/manage.py migrate --verbosity 0
	@echo 'The example site, with the in-memory channel layer: http://127.0.0.1:$(PORT)/'
	@echo '  /                how it works, and which process of this site does what'
	@echo '  /echo/           type a text: a WebSocket carries it to a consumer and back'
	@echo '  /chat/           rooms: who is there, and what was said while you were away'
	@echo '  /counter/        a number that a button at /increment/ raises in every browser'
	@echo '  /dashboard/      charts of what programs push by HTTP, drawn anew in every browser'
	@echo '  /notifications/  toasts in all tabs of a user, until one of them dismisses it'
	@echo '  /headlines/      an event stream: what one page sends, all others show'
	@echo '  /thumbnails/     upload a photograph: a worker makes three sizes, and tries again what fails'
	@$(BIN)/python workers/manage.py demooperator
	@echo 'Change a file of workers/ and it restarts. Stop it with Ctrl-C.'
	@exec $(BIN)/python workers/manage.py runserver 127.0.0.1:$(PORT)

# Check it ---------------------------------------------------------------------------------

# The tests start hundreds of processes: bytecode is kept, whatever the environment says. Many of
# them wait for others most of the time: so there are more processes than cores.
test: export PYTHONDONTWRITEBYTECODE =
test: $(VENV)/.dev $(ASSETS) tests-need  ## all tests; installs what they need
	@$(BIN)/python -m pytest -n 3 --dist worksteal $(ARGS)

acceptance: $(VENV)/.dev $(ASSETS) tests-need  ## only the tests that start real processes and a browser
	@$(BIN)/python -m pytest tests/acceptance $(ARGS)

soak: $(VENV)/.dev tests-need  ## what is promised, at its full size: long; prints figures
	@SOAK=full $(BIN)/python -m pytest -s -m 'not soak' tests/acceptance/test_b[0-9][0-9]_*.py \
		$(addprefix tests/acceptance/test_,uploads.py streams.py restart.py \
		answers_reach_their_client.py idle_and_stuck_sockets.py) $(ARGS)

soak-hour: $(VENV)/.dev tests-need  ## an hour of traffic (SOAK_SECONDS=3600): memory, counters
	@$(BIN)/python -m pytest -s tests/acceptance/soak_hour.py $(ARGS)

autobahn: $(VENV)/.dev $(AUTOBAHN)/.installed  ## all WebSocket cases of Autobahn, up to half an hour; a summary
	@bash tools/debian redis-server:redis-server
	@$(BIN)/python -m tests.autobahn $(AUTOBAHN)/python2/bin/wstest $(ARGS)

check: lint types floors test  ## format, lint, types, floors and tests: what CI runs

lint: $(VENV)/.dev  ## format and lint
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .

types: $(VENV)/.dev  ## mypy, strict
	@$(BIN)/mypy

floors: $(VENV)/.dev  ## who may import whom
	@$(BIN)/lint-imports --no-logo

matrix: $(VENV)/.dev $(ASSETS) tests-need  ## the tests on each Python and Django that is supported
	@PATH="$$PATH:$(subst $(space),:,$(PYENV))" $(BIN)/python -m tox run $(ARGS)

bench: $(BENCH)/.installed  ## side by side with the alternatives: a table of medians and ratios
	@bash tools/debian redis-server:redis-server wrk:wrk
	@$(BENCH)/bin/python -m benchmarks $(ARGS)

deploy-files: $(VENV)/.dev  ## what channels-classic up --print writes, into deploy/
	@for kind in supervisor systemd nginx; do \
		$(BIN)/channels-classic up --manage workers --print $$kind --output deploy/$$kind \
			--site /srv/site --venv /srv/site/venv --user site --proxy-headers 127.0.0.1; \
	done
	@$(BIN)/channels-classic up --manage workers --print compose --output deploy/compose

docs: $(VENV)/.dev  ## the documentation, in docs/_build/html; a warning is an error
	@$(BIN)/python -m sphinx -W --keep-going -q docs docs/_build/html
	@echo "docs/_build/html/index.html"

clean:  ## remove what make has made: environment, caches, the demo's data
	@rm -rf $(VENV) $(BENCH) $(AUTOBAHN) .tox build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache \
		.import_linter_cache .hypothesis tests/artefacts tests/vendor workers/static/vendor \
		workers/var workers/.channels docs/_build
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
