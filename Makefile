# make help prints this file's targets.
PORT ?= 8000
MODEL ?=
TP ?= 1
ARGS ?=
ENGINE ?=
IMAGE ?= vllm-to-sglang:latest
BASE_IMAGE ?= lmsysorg/sglang-rocm:v0.5.18-rocm724-mi30x-20260825
DRY ?=
QUICK ?=
PYTHON ?= python3

.DEFAULT_GOAL := help
.PHONY: help install engine run docs bench picture soak check format test catalog image test-image clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed 's/:.*## /\t/' | expand -t 12

install: .venv/.dev-stamp ## everything but the engine, into .venv

.venv/.dev-stamp: .venv/.stamp
	@echo "installing what the tests need into .venv"
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

# All that serving takes; the clients and tools of the tests are three times as much.
.venv/.stamp: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or later is needed; PYTHON=... names one"; exit 1; }
	@$(PYTHON) -m venv .venv || { echo "Python's venv module is needed (Debian and Ubuntu: apt-get install python3-venv)"; exit 1; }
	@echo "installing the dependencies into .venv"
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check --editable .
	@ln -sf ../../shims/bin/vllm .venv/bin/vllm
	@touch .venv/.stamp

engine: ## the CPU engine into .venv-engine, and its model into .engine
	@$(PYTHON) cpu_engine/install.py

.PHONY: haproxy
haproxy:
	@PATH="$$PATH:/usr/local/sbin:/usr/sbin" command -v haproxy >/dev/null || cpu_engine/get_haproxy

.PHONY: prometheus
prometheus:
	@command -v prometheus >/dev/null && command -v promtool >/dev/null || tests/prometheus/get_prometheus

ifeq ($(MODEL)$(filter-out cpu,$(ENGINE)),)
run: .venv/.stamp haproxy engine ## serve: the embedded model on this CPU, or MODEL=org/name TP=8 [ARGS=...] [DRY=1] in the image
	@.venv/bin/python cpu_engine/run.py --port $(PORT) -- $(ARGS)
else ifeq ($(ENGINE),cpu)
run: .venv/.stamp haproxy engine
	@.venv/bin/python cpu_engine/run.py --port $(PORT) --model '$(MODEL)' -- $(ARGS)
else
run:
	@DRY='$(DRY)' IMAGE='$(IMAGE)' PORT='$(PORT)' deploy/run_image '$(MODEL)' --tensor-parallel-size $(TP) $(ARGS)
endif

format: install ## ruff format
	@.venv/bin/ruff format .

soak: install haproxy engine ## what is too long for `make test`: vLLM's own parser beside ours, 10,000 strange requests, 1,000 streams, 500 slow readers, probes of a server that is tortured
	@.venv/bin/pytest -m soak

docs: install ## docs/ and the README's table, from the tables and the accepted differences
	@.venv/bin/python -m shims.document
	@.venv/bin/python -m tests.differential.document

bench: .venv/.stamp .venv-bench/.stamp haproxy ## the measurements that the README quotes, ten minutes; QUICK=1 shows in one that it works
	@.venv/bin/python -m bench $(if $(QUICK),--quick)

picture: install haproxy prometheus engine ## docs/load.svg: a load on the real engine as a real Prometheus sees it, three minutes
	@.venv/bin/python -m tests.prometheus.load_picture

.venv-bench/.stamp: bench/requirements.txt
	@$(PYTHON) -m venv .venv-bench
	@echo "installing what is measured beside ours into .venv-bench"
	@.venv-bench/bin/python -m pip install --quiet --disable-pip-version-check --requirement bench/requirements.txt
	@touch $@

check: install ## ruff, mypy, and that the documents are what the tables say
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy
	@.venv/bin/python -m shims.document --check
	@.venv/bin/python -m tests.differential.document --check

test: install haproxy prometheus engine ## unit tests, the real stack over a stand-in, the real engine
	@.venv/bin/pytest

catalog: install ## rebuild shims/catalog from the published packages, print what changed: VLLM=0.33.0 SGLANG=0.5.23
	@.venv/bin/python -m shims.catalog.build $(addprefix --vllm ,$(VLLM)) $(addprefix --sglang ,$(SGLANG))

image: ## build the image: BASE_IMAGE=... IMAGE=...
	@$$(command -v docker || command -v podman) build --build-arg BASE_IMAGE=$(BASE_IMAGE) --tag $(IMAGE) .

clean: ## remove what the targets above made
	@rm -rf .venv .venv-bench .venv-engine .engine .run .cache
