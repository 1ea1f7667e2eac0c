"""Where a model's config.json says what its language model is like: at the top, or in a part of a multimodal one.
`shims.flags.served` and `.cache_info` look there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

NAMES = ("text_config", "llm_config")


def parts(config: Mapping[str, object]) -> Iterator[Mapping[str, object]]:
    for part in (config, *map(config.get, NAMES)):
        if isinstance(part, Mapping):
            yield part
