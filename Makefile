# make help prints this file's targets.
PORT ?= 8000
MODEL ?=
MODELS ?=
TP ?= 1
ARGS ?=
ENGINE ?=
IMAGE ?= vllm-to-sglang:latest
BASE_IMAGE ?=
DRY ?=
QUICK ?=
BUILDER ?=
PYTHON ?= python3

.DEFAULT_GOAL := help
.PHONY: help install engine rl-clients run docs release-outcomes bench bench-mux picture soak check format test test-page catalog image test-image clean

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
	@touch .venv/.stamp

engine: ## the CPU engine into .venv-engine, and its model into .engine
	@$(PYTHON) cpu_engine/install.py

.PHONY: haproxy
haproxy:
	@PATH="$$PATH:/usr/local/sbin:/usr/sbin" command -v haproxy >/dev/null || cpu_engine/get_haproxy

.PHONY: prometheus
prometheus:
	@command -v prometheus >/dev/null && command -v promtool >/dev/null || tests/prometheus/get_prometheus

.PHONY: chromium
chromium:
	@command -v chromium >/dev/null || { echo "installing chromium"; apt-get install --yes --no-install-recommends chromium >/dev/null; }

.PHONY: helm
helm: .venv/.stamp
	@tests/deploy/get_helm

ifneq ($(MODELS),)
ifeq ($(ENGINE),cpu)
run: .venv/.stamp haproxy engine
	@.venv/bin/python cpu_engine/run.py --port $(PORT) $(addprefix --models ,$(MODELS)) -- $(ARGS)
else
run:
	@DRY='$(DRY)' IMAGE='$(IMAGE)' PORT='$(PORT)' deploy/run_image --shim-models $(abspath $(MODELS)) $(ARGS)
endif
else ifeq ($(MODEL)$(filter-out cpu,$(ENGINE)),)
run: .venv/.stamp haproxy engine ## serve: the embedded model on this CPU, or MODEL=org/name TP=8 [ARGS=...] [DRY=1] in the image; MODELS=models.yaml for several
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

soak: install haproxy engine ## what is too long for `make test`: vLLM's own parser beside ours, 10,000 strange requests, 1,000 streams, 500 slow readers, probes of a server that is tortured, ten rounds of chaos (CHAOS_SEED=...), 10,000 operations on the switcher (SWITCHER_SEED=...), three real engines in two places, starts that fail late
	@.venv/bin/pytest -m soak

docs: install ## docs/, the README's table and its picture of a check, from the tables and the accepted differences
	@.venv/bin/python -m shims.document
	@.venv/bin/python -m tests.differential.document
	@.venv/bin/python -m tests.operate.check_picture
	@.venv/bin/python -m tests.middleware.weights.step_picture

release-outcomes: install ## before a release: shims/catalog/released.json, what this version accepts; refused where that is a major one
	@.venv/bin/python -m shims.released

bench: .venv/.stamp .venv-bench/.stamp haproxy ## the measurements that the README quotes, ten to twenty minutes; QUICK=1 shows in one that it works
	@.venv/bin/python -m bench $(if $(QUICK),--quick)

bench-mux: .venv/.stamp .venv-bench/.stamp haproxy ## several models, beside sglangmux 0.1.1: bench/results/mux.md, ten minutes
	@.venv/bin/python -m bench.mux

picture: install haproxy prometheus engine chromium ## docs/load.svg, life.svg and page.png: a load as a real Prometheus sees it, a pod's life as a kubelet does, the page for people; eight minutes
	@.venv/bin/python -m tests.prometheus.load_picture
	@.venv/bin/python -m tests.life.picture
	@.venv/bin/python -m tests.middleware.page.picture

.venv-bench/.stamp: bench/requirements.txt
	@$(PYTHON) -m venv .venv-bench
	@echo "installing what is measured beside ours into .venv-bench"
	@.venv-bench/bin/python -m pip install --quiet --disable-pip-version-check --requirement bench/requirements.txt
	@touch $@

# Beside the engine's packages, which have torch and transformers: without their dependencies they come in a third of
# the time. The three do not go together.
RL_CLIENTS := $(patsubst tests/rl/requirements/%.txt,.venv-rl/%/.stamp,$(wildcard tests/rl/requirements/*.txt))

rl-clients: install engine $(RL_CLIENTS) ## the trainers' clients (verifiers, renderers, TRL) for the tests, into .venv-rl

.venv-rl/%/.stamp: tests/rl/requirements/%.txt
	@.venv-engine/bin/python -m venv --without-pip .venv-rl/$*
	@echo "installing $* into .venv-rl"
	@.venv/bin/python -m pip --python .venv-rl/$*/bin/python install --quiet --disable-pip-version-check --no-deps --no-compile --requirement $<
	@engine=$$(.venv-engine/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))') && \
	    echo "$$engine" > .venv-rl/$*/lib/$$(basename "$$(dirname "$$engine")")/site-packages/engine.pth
	@touch $@

check: install ## ruff, mypy, and that the documents are what the tables say
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy
	@.venv/bin/python -m shims.document --check
	@.venv/bin/python -m tests.differential.document --check
	@.venv/bin/python -m tests.operate.check_picture --check
	@.venv/bin/python -m tests.middleware.weights.step_picture --check

test: install haproxy prometheus helm engine rl-clients ## unit tests, the real stack over a stand-in, the real engine
	@folder=$$(mktemp -d /tmp/tests.XXXXXX); .venv/bin/pytest --numprocesses 2 --basetemp=$$folder; code=$$?; rm -rf $$folder; exit $$code

test-page: install haproxy chromium ## the page for people in a real browser, Debian's chromium, over the stack with a stand-in
	@.venv/bin/pytest -m browser

catalog: install ## rebuild shims/catalog from the published packages, print what changed: VLLM=0.33.0 SGLANG=0.5.23
	@.venv/bin/python -m shims.catalog.build $(addprefix --vllm ,$(VLLM)) $(addprefix --sglang ,$(SGLANG))

image: ## build the image: BASE_IMAGE=... IMAGE=... BUILDER=docker|podman
	@BASE_IMAGE='$(BASE_IMAGE)' IMAGE='$(IMAGE)' BUILDER='$(BUILDER)' deploy/build_image

test-image: install engine ## the image on bare Debians, by podman: locked down, stopped, out of memory, the real engine; FULL=1 for more
	@tests/image/run

clean: ## remove what the targets above made
	@rm -rf .venv .venv-bench .venv-engine .venv-rl .engine .run .cache
