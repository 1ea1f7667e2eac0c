"""The words after `vllm` to a Plan, whether they serve one model or several. `__main__`, the preview and the operator's
`check` call `plan`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from shims import cli, facts, models
from shims import plan as one_model
from shims.facts import Facts
from shims.plan import Plan


def plan(words: Sequence[str], env: Mapping[str, str], found: Facts | None = None) -> Plan:
    """`found`: the facts of another machine; without it this one is looked at. Raises ShimError."""
    if not models.are_named(words, env):
        command = cli.from_words(words)
        return one_model.make(command, env, found or facts.gather(command, env))
    # Only here: reading YAML costs every other start 20 ms.
    from shims.models import command as several_models  # noqa: PLC0415
    from shims.models import several  # noqa: PLC0415

    asked = several_models.read(words, env)
    reads = several.read(asked)
    here = found is None
    return several.make(asked, reads, found or several.gather(asked, reads), of_machine=here)
