"""What can become of a flag or variable, and the words for it. `flags.record` and `environment.record` decide by it;
`report` and `operate.screen`, which loads no table of flags, print it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

Action = Literal["same", "rename", "convert", "ours", "drop", "refuse", "pass"]
WORDS: Mapping[str, str] = {
    "same": "as given",
    "rename": "renamed",
    "convert": "converted",
    "ours": "done here",
    "drop": "ignored",
    "refuse": "refused",
    "pass": "SGLang's own",
}
