"""Run by the engine's own Python: what SGLang makes of a command line's flags for metrics, and of the folder that
prometheus_client writes into. In: one JSON list of arguments a line; out: one JSON object a line.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
from pathlib import Path


def main() -> None:
    with contextlib.redirect_stdout(sys.stderr):
        from cpu_engine.launch import prepare

        prepare()
        from sglang.srt.arg_groups.validation_hook import validate_buckets_rule
        from sglang.srt.observability.utils import generate_buckets
        from sglang.srt.server_args import ServerArgs
        from sglang.srt.utils.common import set_prometheus_multiproc_dir

        parser = argparse.ArgumentParser(prog="sglang")
        ServerArgs.add_cli_args(parser)
    set_prometheus_multiproc_dir()
    folder = Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])
    from prometheus_client import Counter

    Counter("of_this_life", "Makes the file that this process counts in.").inc()
    for line in sys.stdin:
        parsed = parser.parse_args(json.loads(line))
        for name in ("prompt_tokens_buckets", "generation_tokens_buckets"):
            validate_buckets_rule(name, getattr(parsed, name))
        told = {
            "request_latency": parsed.bucket_e2e_request_latency,
            "time_to_first_token": parsed.bucket_time_to_first_token,
            "inter_token_latency": parsed.bucket_inter_token_latency,
            "prompts": generate_buckets(parsed.prompt_tokens_buckets, []),
            "answers": generate_buckets(parsed.generation_tokens_buckets, []),
            "decode_log_interval": parsed.decode_log_interval,
            "watchdog": parser.get_default("watchdog_timeout"),
            "folder": [str(folder), sorted(one.name for one in folder.iterdir())],
        }
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
