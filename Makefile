# One command each. `make demo` and `make test` do all their set-up themselves.
PYTHON := .venv/bin/python
PYTEST := $(PYTHON) -m pytest
RUN := PYTHONPATH=. $(PYTHON)

.PHONY: help setup servers demo test unit conformance integration chaos check format protos bench clean

help: ## lists the targets
	@grep -E '^[a-z]+:.*##' Makefile | sed -E 's/^([a-z]+):.*## /\1\t/' | expand -t 14

setup: ## makes .venv (quick when nothing has changed)
	@tools/setup.sh

servers: setup ## fetches Hadoop's jars and builds versitygw into .cache
	@$(RUN) -m tests.support.fetch

demo: setup ## copies a small tree from a real HDFS to a real S3 server, and again
	@$(RUN) tools/demo.py

test: servers ## every test
	$(PYTEST) tests

unit: setup ## tests without any server, under 20 s
	$(PYTEST) tests/unit

conformance: servers ## one suite, every store
	$(PYTEST) tests/conformance

integration: servers ## tests against real servers
	$(PYTEST) tests/integration

chaos: servers ## tests that kill processes in the middle
	$(PYTEST) tests/chaos

check: setup ## ruff, mypy, import-linter, freshness of generated code
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports --no-cache
	$(PYTHON) tools/protos.py --check

format: setup ## lets ruff put the code in order
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

protos: setup ## generates the Python code of protos/
	$(PYTHON) tools/protos.py

bench: servers ## the measurements of docs/benchmarks.md, peers at last (about 45 minutes)
	$(RUN) -m bench.scan
	$(RUN) -m bench.hdfs_list --made 100000
	$(RUN) -m bench.hdfs_read
	$(RUN) -m bench.hdfs_encrypted
	$(RUN) -m bench.hdfs_striped
	$(RUN) -m bench.slow_datanode
	$(RUN) -m bench.s3_put
	$(RUN) -m bench.first_run
	$(RUN) -m bench.growth
	$(RUN) -m bench.compare --workloads start,large,small --target null --out .cache/bench/compare.json
	$(RUN) -m bench.plot .cache/bench/compare.json .cache/bench/plots
	$(RUN) -m bench.model

clean: ## removes everything that was fetched or made
	rm -rf .venv .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -not -path './.git/*' -prune -exec rm -rf {} +
	rm -rf *.egg-info sdk/src/*.egg-info build sdk/build
