"""The whole /metrics of a real SGLang 0.5.23, as one with several data-parallel ranks says it: what its schedulers
report stands there once a rank. Used by the stand-in.
"""

from __future__ import annotations

from bench.recorded import RECORDED_MODEL, RECORDINGS

OF_A_SCHEDULER = 'tp_rank="'  # the tokenizer's and the HTTP server's series have no rank


def metrics(model: bytes, ranks: int) -> bytes:
    text = (RECORDINGS / "metrics_whole.txt").read_text()
    lines = [each for line in text.splitlines() for each in _of_ranks(line, ranks)]
    return ("\n".join(lines) + "\n").encode().replace(b"model_name=" + RECORDED_MODEL, b"model_name=" + model)


def _of_ranks(line: str, ranks: int) -> list[str]:
    if ranks == 1 or line.startswith("#") or OF_A_SCHEDULER not in line:
        return [line]
    return [line.replace("{", f'{{dp_rank="{rank}",', 1) for rank in range(ranks)]
