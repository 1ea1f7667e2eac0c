"""Files for the command to read, and the command as an operator runs it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from operate import source
from operate.__main__ import main
from operate.found import Found

Write = Callable[..., str]
Engines = Callable[..., list[Found]]
Check = Callable[..., "Answer"]


class Answer:
    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err
        self.everything = out + err

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """A file of these documents (or of this text), by its path."""

    def write(*documents: Any, name: str = "file.yaml") -> str:
        path = tmp_path / name
        text = documents[0] if isinstance(documents[0], str) else yaml.safe_dump_all(documents, sort_keys=False)
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write


@pytest.fixture
def engines(write: Write) -> Engines:
    def read(*documents: Any) -> list[Found]:
        return list(source.engines(write(*documents)).engines)

    return read


@pytest.fixture
def check(capsys: pytest.CaptureFixture[str]) -> Check:
    """`check("values.yaml", "--", "serve", "m")`: exit code and output."""

    def run(*words: str) -> Answer:
        try:
            code = main(["check", *words])
        except SystemExit as end:
            code = int(end.code or 0)
        captured = capsys.readouterr()
        return Answer(code, captured.out, captured.err)

    return run
