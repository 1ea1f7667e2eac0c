# The image that takes the vLLM server image's place. SGLang comes with the base and is not touched: our code has a
# virtual environment of its own. `make image` builds it; docs/image.md tells of each argument.
ARG BASE_IMAGE=lmsysorg/sglang-rocm:v0.5.18-rocm724-mi30x-20260825
FROM ${BASE_IMAGE}

# A base may end with a user of its own; this image begins as vLLM's does, and takes any uid when it runs.
USER root

# haproxy from the distribution; and a Python of 3.11 or later, which Ubuntu 22.04 has beside its own.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends haproxy \
    && for python in python3 python3.13 python3.12 python3.11; do \
        if $python -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then break; fi; \
        python=; \
    done \
    && if [ -z "$python" ]; then \
        for python in python3.13 python3.12 python3.11; do \
            if apt-get install --yes --no-install-recommends $python $python-venv; then break; fi; \
        done; \
    fi \
    && $python -m venv --without-pip /opt/vllm-to-sglang/.venv \
    && apt-get clean \
    && rm -rf /var/lib/apt/lists/* /var/log/apt /var/log/dpkg.log /var/cache/debconf/*-old

# AITER's kernels come compiled with SGLang's ROCm images. Releases have been shipped with none, with another GPU's, with
# stale ones or from a commit that was taken back (docs/image.md): --build-arg REBUILD_AITER=COMMIT builds them anew from
# that commit, as SGLang's own Dockerfile does, in an hour or more. Empty: the base's own stay. (Arguments of this file
# have names that no base has for a variable: the variable would win, and SGLang's image has AITER_COMMIT.)
ARG REBUILD_AITER=
ARG REBUILD_AITER_FOR=gfx942
RUN if [ -n "$REBUILD_AITER" ]; then \
        set -eu; \
        [ -d /sgl-workspace/aiter/.git ] \
            || git clone https://github.com/ROCm/aiter.git /sgl-workspace/aiter; \
        cd /sgl-workspace/aiter; \
        git fetch --quiet origin "$REBUILD_AITER"; \
        git checkout --force FETCH_HEAD; \
        git submodule update --init --recursive --force; \
        rm -rf aiter/jit/build aiter/jit/*.so build; \
        export AITER_USE_SYSTEM_TRITON=1 GPU_ARCHS="$REBUILD_AITER_FOR"; \
        python3 -m pip install --no-cache-dir -r requirements.txt; \
        PREBUILD_KERNELS=1 python3 setup.py build_ext --inplace; \
        python3 -m pip install --no-cache-dir --config-settings editable_mode=compat -e .; \
        rm -rf aiter/jit/build build; \
        ls aiter/jit/*.so >/dev/null; \
    fi

# What SGLang and AMD recommend for MI300X, where the base has ROCm and does not set it itself; empty elsewhere, which
# means unset to whoever reads it. `docker run --env` and a pod's env win.
#   HIP_FORCE_DEV_KERNARG   kernels' arguments lie in the GPU's own memory: 2 to 3 microseconds less a launch
#   HSA_NO_SCRATCH_RECLAIM  scratch memory stays with its queue: older firmware is slow at taking it back
#   NCCL_MIN_NCHANNELS      RCCL's channels, from 32 to 64: for eight GPUs; with fewer RCCL ignores so many, and warns
ENV HIP_FORCE_DEV_KERNARG=${HIP_FORCE_DEV_KERNARG:-${PYTORCH_ROCM_ARCH:+1}} \
    HSA_NO_SCRATCH_RECLAIM=${HSA_NO_SCRATCH_RECLAIM:-${PYTORCH_ROCM_ARCH:+1}} \
    NCCL_MIN_NCHANNELS=${NCCL_MIN_NCHANNELS:-${PYTORCH_ROCM_ARCH:+112}}

# The dependencies before the code: a change of code rebuilds the last, small layers only.
WORKDIR /opt/vllm-to-sglang
COPY pyproject.toml README.md ./
RUN mkdir shims middleware switcher supervision operate haproxy \
    && .venv/bin/python -m ensurepip >/dev/null \
    && .venv/bin/python -m pip install --quiet --no-cache-dir --disable-pip-version-check --editable . \
    && .venv/bin/python -m pip uninstall --quiet --yes --disable-pip-version-check --root-user-action ignore pip

COPY render_config.py supervisord.conf.j2 ./
COPY haproxy haproxy
COPY supervision supervision
COPY middleware middleware
COPY switcher switcher
COPY operate operate
COPY shims shims

# The flags of this base's SGLang, so that one that it does not have is refused by name and not by a crash. Compiled,
# because a read-only root and another uid's start would compile every time. And every name the stack starts a vLLM
# engine by: `vllm`, /opt/venv/bin/vllm, `python -m vllm...`; bare arguments are the ENTRYPOINT's.
RUN .venv/bin/python -m shims.catalog.build.image \
    && .venv/bin/python -m compileall -q render_config.py shims middleware switcher supervision operate \
    && (command -v python >/dev/null || ln -s "$(command -v python3)" /usr/local/bin/python) \
    && mkdir -p /opt/venv/bin \
    && ln -sf /opt/vllm-to-sglang/shims/bin/vllm /usr/local/bin/vllm \
    && ln -sf /opt/vllm-to-sglang/shims/bin/vllm /opt/venv/bin/vllm \
    && ln -sf /opt/vllm-to-sglang/shims/bin/supervisorctl /usr/local/bin/supervisorctl \
    && ln -sf /opt/vllm-to-sglang/.venv/bin/vllm-to-sglang /usr/local/bin/vllm-to-sglang \
    && ln -sf /tmp/vllm-shim/supervisord.conf /etc/supervisord.conf
ENV PYTHONPATH=/opt/vllm-to-sglang/shims/shadow${PYTHONPATH:+:$PYTHONPATH}
# SGLang's ROCm image sets these two to INT8 and 1, vLLM's does not, and they change results: sums between GPUs in 8 bits,
# a --max-model-len beyond the model's own. Empty is unset to the start of this image; a pod's env wins.
ENV ROCM_QUICK_REDUCE_QUANTIZATION= \
    SGLANG_ALLOW_OVERWRITE_LONGER_CONTEXT_LEN=

WORKDIR /
EXPOSE 8000
STOPSIGNAL SIGTERM
# For docker and podman; Kubernetes asks /health itself. A download, a load and a first compilation may come before the
# first success, and do not count as failures.
HEALTHCHECK --interval=10s --timeout=5s --start-period=1h --retries=3 \
    CMD ["/opt/vllm-to-sglang/.venv/bin/python", "-I", "-S", "/opt/vllm-to-sglang/operate/health.py"]
ENTRYPOINT ["vllm", "serve"]
CMD []

# Last, because they change with every commit. `make image` takes SGLang's and ROCm's version and the GPU from the name
# of the base.
ARG BASE_IMAGE
ARG IMAGE_VERSION=0.1.0
ARG IMAGE_REVISION=
ARG IMAGE_SOURCE=
ARG BASE_SGLANG=
ARG BASE_ROCM=
ARG BASE_GPU=
LABEL org.opencontainers.image.title="vllm-to-sglang" \
    org.opencontainers.image.description="Takes the place of a vLLM server image and runs SGLang" \
    org.opencontainers.image.version="${IMAGE_VERSION}" \
    org.opencontainers.image.revision="${IMAGE_REVISION}" \
    org.opencontainers.image.source="${IMAGE_SOURCE}" \
    org.opencontainers.image.base.name="${BASE_IMAGE}" \
    vllm-to-sglang.sglang="${BASE_SGLANG}" \
    vllm-to-sglang.rocm="${BASE_ROCM}" \
    vllm-to-sglang.gpu="${BASE_GPU}"
