# Every command makes the virtual environment that it needs; PYTHON chooses the interpreter.
PYTHON ?= python3
PORT ?= 8000
# More processes than cores, since tests wait for servers about half of their time.
WORKERS ?= 4
# What `make test-faults` does; `make test-slow` has three seconds of it on each route to each database.
SEEDS ?= 2
MINUTES ?= 1
DATABASES ?= sqlite or postgresql or mariadb
# Where `make test-core` runs what holds of every database: where there is more than one server.
TOPOLOGY ?= galera
CORE := saving lists paging bulk units_of_work conflicts cancellation totals streaming
VENV := .venv
EXAMPLE := $(CURDIR)/build/example
SERVICE := $(CURDIR)/build/service
INTERPRETERS := python3.11 python3.12 python3.13 python3.14

# Tests start Python some hundred times, and each would compile all modules anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo service test test-slow test-sqlalchemy test-psycopg test-poolers test-topologies test-core test-formats test-oldest test-newest test-faults test-example test-service test-all lint docs bench clean

help:  ## List the commands
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /: /'

$(VENV)/%.installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "$(PYTHON) is older than Python 3.11; run make PYTHON=python3.11 (or newer)"; exit 1; }
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --editable '.[$*]'
	@touch $@

demo: DATABASE ?= sqlite:///demo.db
demo: $(VENV)/examples,postgresql,mariadb.installed  ## Read this checkout's history into DATABASE
	$(VENV)/bin/python examples/git_history.py --database '$(DATABASE)'

$(VENV)/service.installed: examples/service/pyproject.toml $(VENV)/mariadb,postgresql.installed
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --editable examples/service
	@touch $@

service: DATABASE ?= sqlite:///service.db
service: $(VENV)/service.installed  ## Serve examples/service on PORT, from DATABASE with sample records
	SYNTHORG_DATABASE_URL='$(DATABASE)' $(VENV)/bin/python -m service.fill
	SYNTHORG_DATABASE_URL='$(DATABASE)' $(VENV)/bin/python -m service --port $(PORT)

test: $(VENV)/test.installed  ## Run the tests on every database found, but for the slow ones
	$(VENV)/bin/python -m pytest --numprocesses $(WORKERS) --dist worksteal -m 'not slow'

test-slow: $(VENV)/test.installed  ## Run the slow tests: kills, wheels, type checkers, benchmarks
	$(VENV)/bin/python -m pytest --numprocesses $(WORKERS) --dist worksteal -m slow

test-sqlalchemy: $(VENV)/test.installed  ## Run the conformance suite with the fast route switched off
	TEST_PREPARED_STATEMENTS=false $(VENV)/bin/python -m pytest --numprocesses $(WORKERS) --dist worksteal tests/conformance

test-psycopg: $(VENV)/test.installed  ## Run the conformance suite on PostgreSQL through psycopg
	TEST_POSTGRESQL_DRIVER=psycopg $(VENV)/bin/python -m pytest --numprocesses $(WORKERS) --dist worksteal \
		tests/conformance -k postgresql

test-poolers: $(VENV)/test.installed  ## Run the tests behind PgBouncer, which has to be installed
	TEST_POOLERS=true $(VENV)/bin/python -m pytest tests/poolers

test-topologies: $(VENV)/test.installed  ## Run the tests on clusters, whose programs have to be installed
	TEST_TOPOLOGIES=true $(VENV)/bin/python -m pytest tests/topologies

test-core: $(VENV)/test.installed  ## Run the conformance suite's core on TOPOLOGY: galera, pgbouncer or replicated
	TEST_TOPOLOGY=$(TOPOLOGY) $(VENV)/bin/python -m pytest -m 'not slow' --timeout 120 \
		$(addprefix tests/conformance/test_,$(addsuffix .py,$(CORE)))

test-formats: $(VENV)/test,formats.installed  ## Read exports with pandas, Polars and DuckDB
	TEST_FORMATS=true $(VENV)/bin/python -m pytest tests/formats

# $(1): the end of the ranges that pyproject.toml gives; $(2): how uv resolves to it
define environment_of
	$(VENV)/bin/uv venv --quiet --clear --python $(VENV)/bin/python $(VENV)-$(1)
	$(VENV)/bin/uv pip install --quiet --python $(VENV)-$(1)/bin/python --resolution $(2) \
		--editable '.[cli,mariadb,otel,parquet,postgresql,testing]' \
		'opentelemetry-sdk>=1.30' 'pytest-timeout>=2.4' 'pytest-xdist>=3.8'
endef

test-oldest: $(VENV)/test.installed  ## Run what differs between releases on the oldest that are supported
	$(call environment_of,oldest,lowest-direct)
	$(VENV)-oldest/bin/python -m pytest --numprocesses $(WORKERS) --dist worksteal -m 'not slow' \
		-W ignore::DeprecationWarning:click -W ignore::DeprecationWarning:typer \
		-k 'not postgresql and not mariadb' \
		tests/conformance tests/cli tests/entities tests/examination tests/extensions tests/migrations

test-newest: $(VENV)/test.installed  ## Run every behaviour on the newest releases, and install them beside others
	$(call environment_of,newest,highest)
	TEST_UNIT_STEPS=adaptive TEST_RESOLVER=$(CURDIR)/$(VENV)/bin/uv $(VENV)-newest/bin/python -m pytest --numprocesses $(WORKERS) \
		--dist worksteal -m 'not slow' -k 'sqlite or companions' tests/conformance tests/packaging/test_companions.py

test-faults: $(VENV)/test.installed  ## Break connections for MINUTES on each of DATABASES, SEEDS times
	TEST_FAULT_SEEDS=$(SEEDS) TEST_FAULT_SECONDS=$$(( $(MINUTES) * 60 )) \
		$(VENV)/bin/python -m pytest --numprocesses $(WORKERS) tests/faults -k '$(DATABASES)'

test-example: $(VENV)/test.installed  ## Test examples/organisation where the wheels of both packages are installed
	rm -rf $(EXAMPLE)
	$(VENV)/bin/python -m venv $(EXAMPLE)
	$(VENV)/bin/python -m build --wheel --outdir $(EXAMPLE)/wheels . > /dev/null
	$(VENV)/bin/python -m build --wheel --outdir $(EXAMPLE)/wheels examples/organisation > /dev/null
	$(EXAMPLE)/bin/pip install --quiet --disable-pip-version-check $(EXAMPLE)/wheels/synthorg_persistence-*.whl \
		"$$(echo $(EXAMPLE)/wheels/organisation_example-*.whl)[test]"
	cd examples/organisation && $(EXAMPLE)/bin/mypy && $(EXAMPLE)/bin/pyright --pythonpath $(EXAMPLE)/bin/python
	$(VENV)/bin/python -m tests.servers.lend ORGANISATION_DATABASES \
		$(EXAMPLE)/bin/pytest --config-file examples/organisation/pyproject.toml examples/organisation/tests

test-service: $(VENV)/test.installed  ## Follow the tutorial, and test examples/service where the wheels are installed
	TEST_TUTORIAL=true $(VENV)/bin/python -m pytest tests/packaging/test_tutorial.py
	rm -rf $(SERVICE)
	$(VENV)/bin/python -m venv $(SERVICE)
	$(VENV)/bin/python -m build --wheel --outdir $(SERVICE)/wheels . > /dev/null
	$(VENV)/bin/python -m build --wheel --outdir $(SERVICE)/wheels examples/service > /dev/null
	$(SERVICE)/bin/pip install --quiet --disable-pip-version-check $(SERVICE)/wheels/synthorg_persistence-*.whl \
		"$$(echo $(SERVICE)/wheels/service_example-*.whl)[test]"
	cd examples/service && $(SERVICE)/bin/mypy && $(SERVICE)/bin/pyright --pythonpath $(SERVICE)/bin/python
	$(VENV)/bin/python -m tests.servers.lend SERVICE_DATABASES \
		$(SERVICE)/bin/pytest --config-file examples/service/pyproject.toml examples/service/tests

test-all:  ## Run `test` and `test-slow` on every supported interpreter found
	@set -e; for interpreter in $(INTERPRETERS); do \
		$$interpreter -c '' 2>/dev/null || continue; \
		echo "== $$interpreter"; \
		$(MAKE) test test-slow PYTHON=$$interpreter VENV=.venv-$$interpreter; \
	done

lint: $(VENV)/lint,test,bench.installed  ## Check style, format and types
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/mypy

# Which version the theme would load from the network.
build/mermaid/package/dist/mermaid.min.js:
	@mkdir -p build/mermaid
	@cd build/mermaid && npm pack --silent mermaid@11 > /dev/null && tar -xf mermaid-*.tgz package/dist/mermaid.min.js

docs: $(VENV)/docs.installed  ## Build the site of the documentation in build/site
	@$(MAKE) --no-print-directory build/mermaid/package/dist/mermaid.min.js \
		|| echo 'without npm, the pages with diagrams load Mermaid from the network'
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --quiet
	@echo 'build/site/index.html'

bench: $(VENV)/bench.installed  ## Compare the speed with other ways; BENCH=--quick takes two minutes
	$(VENV)/bin/python -m benchmarks $(BENCH)

clean:  ## Remove the virtual environments and what tools left
	rm -rf .venv .venv-* .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist demo.db* service.db*
