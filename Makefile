# Tulou: one city on one machine. `make` lists what there is.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip --disable-pip-version-check install
# In the order in which they build on each other.
MEMBERS := protos services/civics services/chassis $(patsubst %/pyproject.toml,%,$(filter-out services/civics/% services/chassis/%,$(wildcard services/*/pyproject.toml))) gateway city
PROTOS := $(shell find protos/tulou -name '*.proto') protos/generate.py
# Differs when the interpreter or the folder is another one than the environment was made with: then it is made anew.
ASKED = $$($(PYTHON) -c 'import sys; print(sys.version, sys.base_prefix)' 2>&1) in $(CURDIR)
UV_LOCK := uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
  --custom-compile-command "make lock" $(foreach name,protos civics chassis gateway,--no-emit-package tulou-$(name)) \
  pyproject.toml $(MEMBERS:=/pyproject.toml)
SERVICES ?= $(patsubst services/%/migrations,%,$(wildcard services/*/migrations))

.DEFAULT_GOAL := help
.PHONY: help up stop status token demo test e2e lint bench lock clean base wheels images FORCE

help: ## Show this list
	@awk -F ' *## *' '/^[a-z0-9]+:.*## / {sub(/:.*/, "", $$1); printf "  make %-7s %s\n", $$1, $$2}' Makefile
	@echo "Settings: PORT=8080 (first of its ports), VAR=var (its state), DATABASE_URL, AMQP_URI, PYTHON=python3"

up: $(VENV)/run ## Start the city and show where everything is; DETACH=1 returns when all is healthy
	@$(BIN)/python -m tulou_city up $(if $(DETACH),--detach)

stop: ## End every process of the city; its state stays under var/
	@if [ -e $(VENV)/members ]; then $(BIN)/python -m tulou_city stop; else echo "Nothing was started from here: $(VENV) is not complete."; fi

status: $(VENV)/run ## Show the city's processes, their health and their memory
	@$(BIN)/python -m tulou_city status

token: $(VENV)/run ## Print a token: make token ROLE=clerk ORG=SCJG REGION=3506 SUB=clerk-1
	@$(BIN)/python -m tulou_city token $(if $(ROLE),--role $(ROLE)) $(if $(ORG),--org $(ORG)) $(if $(REGION),--region $(REGION)) $(if $(SUB),--sub $(SUB)) $(if $(IDENTITY),--identity $(IDENTITY))

demo: $(VENV)/run ## Play one applicant's and one department's day against the running city
	@$(BIN)/python -m tulou_city demo

test: $(VENV)/dev ## Run every test that needs no containers; ARGS="-k clock" narrows them
	@$(BIN)/python -m pytest -m "not containers" $(ARGS)

e2e: $(VENV)/dev ## Build the images, play the journeys on containers and break what they need
	@$(BIN)/python -m pytest e2e -m containers --durations=40 --durations-min=5 $(ARGS)

lint: $(VENV)/dev ## Check style, types, imports between packages, and the protos
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python protos/check.py

bench: $(VENV)/dev ## Measure start, memory and throughput beside a hand-written floor
	@$(BIN)/python -m bench

base: ## Build the base image and stand-ins for PostgreSQL and RabbitMQ from Debian packages
	@images/base.sh

wheels: ## Fetch the packages of requirements.lock for the images' Python into var/images/wheels
	@images/wheels.sh

images: ## Build the images: make images BASE=tulou/base REGISTRY=tulou VERSION=0.1.0 ENGINE=docker
	@images/build.sh $(SERVICES) gateway

lock: ## Make the lock files again (needs uv)
	$(UV_LOCK) --group build -o requirements.lock
	$(UV_LOCK) --group dev -c requirements.lock -o requirements-dev.lock

clean: stop ## Stop the city; remove its state under var/, the stubs and the environment
	rm -rf $(VENV) var protos/gen .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/made-with: $(shell [ "$(ASKED)" = "$$(cat $(VENV)/made-with 2>/dev/null)" ] || echo FORCE)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and f"Tulou needs Python 3.11 or newer; $(PYTHON) is {sys.version.split()[0]}. Name another: make up PYTHON=python3.12")'
	@echo "Making $(VENV) with $$($(PYTHON) --version)" >&2
	@rm -rf $(VENV)
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "Python cannot make a virtual environment. On Debian: apt-get install python3-venv"; exit 1; }
	@echo "$(ASKED)" > $@

$(VENV)/packages: $(VENV)/made-with requirements.lock
	@echo "Installing the packages of requirements.lock" >&2
	@$(INSTALL) --require-hashes -r requirements.lock >&2
	@touch $@

$(VENV)/dev-packages: $(VENV)/packages requirements-dev.lock
	@echo "Installing the packages of requirements-dev.lock" >&2
	@$(INSTALL) --require-hashes -r requirements-dev.lock >&2
	@touch $@

$(VENV)/members: $(VENV)/packages $(MEMBERS:=/pyproject.toml)
	@echo "Building the stubs and linking our own packages" >&2
	@$(INSTALL) -q --no-deps --no-build-isolation $(addprefix -e ./,$(MEMBERS))
	@touch $@ $(VENV)/stubs

$(VENV)/stubs: $(PROTOS) | $(VENV)/members
	@echo "Building the stubs" >&2
	@$(BIN)/python protos/generate.py
	@touch $@

$(VENV)/run: $(VENV)/members $(VENV)/stubs
	@touch $@

$(VENV)/dev: $(VENV)/run $(VENV)/dev-packages
	@touch $@
