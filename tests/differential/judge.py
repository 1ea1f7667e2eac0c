"""Takes over what a real vLLM was recorded to answer: `python -m tests.differential.judge FOLDER` (a file a request).
Run by hand, once for each new set of recordings; what is large and says nothing of the API is left out.
"""

from __future__ import annotations

import json
import re
import sys
from collections import defaultdict
from collections.abc import Sequence
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from tests.differential.groups import GROUPS
from tests.differential.wire import UNSAID, Answer, Judged, Request, write_judged

BULK = ("/openapi.json", "/metrics", "/server_info", "/weight_checker", "/docs", "/redoc")
SMALL = 8_000
# Asked within one second, so that their order does not show in the dates of the answers.
_ORDERED = (
    ("pause_generation", "continue_generation"),
    (
        *("v_pause_abort", "v_pause_twice", "v_is_paused_true", "v_health_while_paused", "v_chat_while_paused_abort"),
        *("v_resume", "v_resume_not_paused"),
    ),
    (
        *("v_lora_zero_stream", "v_lora_load_dup", "v_lora_unload", "v_lora_after_unload", "v_lora_unload_again"),
        *("v_lora_sagemaker_load", "v_lora_sagemaker_unload"),
    ),
    ("v_sleep_0", "v_is_sleeping_level0", "v_resume_final", "v_sleep_bad", "v_wake_up_bad"),
)
LATER = {name: rank for names in _ORDERED for rank, name in enumerate(names, 1)}


def main(argv: Sequence[str]) -> int:
    if len(argv) != 1:
        print(__doc__)
        return 2
    groups: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
    for path in sorted(Path(argv[0]).glob("*.json")):
        recorded = json.loads(path.read_text())
        group = re.sub(r"\W", "_", recorded["server_group"])
        when = parsedate_to_datetime(recorded["response"]["headers"]["date"])
        name = recorded["name"]
        groups[group].append(((when, LATER.get(name, 0), name), judged(recorded)))
    assert set(groups) <= set(GROUPS), f"unknown groups: {sorted(groups)}"
    for group, found in groups.items():
        write_judged(group, [entry for _, entry in sorted(found, key=lambda pair: pair[0])])
        print(f"{group}: {len(found)}")
    return 0


def judged(recorded: dict[str, Any]) -> Judged:
    asked, said = recorded["request"], recorded["response"]
    body = json.dumps(asked["json"]) if asked.get("json") is not None else asked.get("raw_body")
    request = Request(asked["method"], asked["path"], asked["headers"], None if body is None else body.encode())
    headers = {name: value for name, value in said["headers"].items() if name not in UNSAID}
    content: bytes | None = said["body"].encode("utf-8", "surrogatepass")
    # Bytes that are no text were not recorded as they were.
    if (request.path in BULK and len(said["body"]) > SMALL) or "octet-stream" in headers.get("content-type", ""):
        content = None
    return Judged(recorded["name"], request, Answer(said["status"], headers, content))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
