"""What clients say to the model stands in no log, whatever becomes of their request."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.middleware.serving import Served, wait_for
from tests.middleware.test_main import running, stopped

SECRET = "the patient's name is Rumpelstiltskin"
CHAT = {"model": "standin", "messages": [{"role": "user", "content": SECRET}]}
# What the stand-in is told, and what else the body says.
FATES: list[tuple[str, dict[str, Any]]] = [
    ("", {}),
    ("", {"n": "many"}),
    ("", {"guided_json": 5}),
    ("", {"model": SECRET}),
    ("", {"tools": [SECRET]}),
    ("status=400", {}),
    ("status=404", {}),
    ("status=500", {}),
    ("", {"stream": True}),
]


@pytest.mark.parametrize("level", ["info", "trace"])
def test_no_prompt_stands_in_a_log(engine: Served, tmp_path: Path, level: str) -> None:
    policy = tmp_path / "policy.json"
    policy.write_text(json.dumps({"log_level": level}))
    with running(engine.port, "--policy", str(policy)) as (program, front):
        wait_for(lambda: front.get("/health").status_code == 200, "it is ready")
        for told, more in FATES:
            front.post("/v1/chat/completions", json={**CHAT, **more}, headers={"x-standin": told} if told else {})
            front.post("/generate", json={"text": SECRET, **more}, headers={"x-standin": told} if told else {})
        front.post("/v1/completions", content=f'{{"prompt": "{SECRET}"'.encode())
        front.post("/nowhere", json=CHAT)
        log = stopped(program)
    assert "Rumpelstiltskin" not in log
    assert "engine: loading -> ready" in log
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and "Rumpel" in path.read_text(errors="replace")]
