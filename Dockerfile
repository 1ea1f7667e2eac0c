# The image that takes the vLLM server image's place. SGLang comes with the base and is not touched: our code
# has a virtual environment of its own.
ARG BASE_IMAGE=lmsysorg/sglang-rocm:v0.5.18-rocm724-mi30x-20260825
FROM ${BASE_IMAGE}

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
    && $python -m venv /opt/vllm-to-sglang/.venv \
    && rm -rf /var/lib/apt/lists/*

# The dependencies before the code: a change of code rebuilds the last, small layers only.
WORKDIR /opt/vllm-to-sglang
COPY pyproject.toml README.md ./
RUN mkdir shims middleware supervision operate haproxy \
    && .venv/bin/python -m pip install --quiet --no-cache-dir --disable-pip-version-check --editable .

COPY render_config.py supervisord.conf.j2 ./
COPY haproxy haproxy
COPY supervision supervision
COPY middleware middleware
COPY operate operate
COPY shims shims

# The flags of this base's SGLang, so that one that it does not have is refused by name and not by a crash.
RUN .venv/bin/python -m shims.catalog.build.image

# Every name the stack starts a vLLM engine by: `vllm`, /opt/venv/bin/vllm, `python3 -m vllm...`, bare arguments.
RUN mkdir -p /opt/venv/bin \
    && ln -sf /opt/vllm-to-sglang/shims/bin/vllm /usr/local/bin/vllm \
    && ln -sf /opt/vllm-to-sglang/shims/bin/vllm /opt/venv/bin/vllm \
    && ln -sf /opt/vllm-to-sglang/.venv/bin/supervisorctl /usr/local/bin/supervisorctl \
    && ln -sf /opt/vllm-to-sglang/.venv/bin/vllm-to-sglang /usr/local/bin/vllm-to-sglang \
    && ln -sf /tmp/vllm-shim/supervisord.conf /etc/supervisord.conf
ENV PYTHONPATH=/opt/vllm-to-sglang/shims/shadow${PYTHONPATH:+:$PYTHONPATH}

WORKDIR /
EXPOSE 8000
STOPSIGNAL SIGTERM
ENTRYPOINT ["vllm", "serve"]
