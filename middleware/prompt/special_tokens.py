"""The special tokens that transformers 5 hands to every chat template, by name: `bos_token`, `eos_token` and so on.
Called by `prompt.files` with the documents it has read.
"""

from collections.abc import Mapping
from typing import Any

from middleware.prompt.failures import CannotRender

NAMES = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")

_LLAMA = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
_GPT2 = dict.fromkeys(("bos_token", "eos_token", "unk_token"), "<|endoftext|>")
_QWEN2 = dict.fromkeys(("eos_token", "unk_token", "pad_token"), "<|endoftext|>")
_GEMMA = {
    "bos_token": "<bos>",
    "eos_token": "<eos>",
    "unk_token": "<unk>",
    "pad_token": "<pad>",
    "mask_token": "<mask>",
}
# What a tokenizer's class sets where its configuration says nothing at all (transformers 5.19).
OF_CLASS: Mapping[str, Mapping[str, str]] = {
    "LlamaTokenizer": _LLAMA,
    "CodeLlamaTokenizer": _LLAMA,
    "GPT2Tokenizer": _GPT2,
    "Qwen2Tokenizer": _QWEN2,
    "GemmaTokenizer": _GEMMA,
}


def special_tokens(config: Mapping[str, Any], legacy: Mapping[str, Any]) -> dict[str, str]:
    """`config` is tokenizer_config.json, `legacy` is special_tokens_map.json, which says nothing to transformers where
    the former lists the added tokens."""
    said = config if "added_tokens_decoder" in config else {**config, **legacy}
    kind = str(config.get("tokenizer_class") or "").removesuffix("Fast")
    tokens = dict(OF_CLASS.get(kind, {}))
    for name, value in said.items():
        if name in NAMES:
            tokens.pop(name, None)
            if value is not None:
                tokens[name] = _text(name, value)
        elif name.endswith("_token") and isinstance(value, (str, dict)):
            tokens[name] = _text(name, value)
    named = said.get("extra_special_tokens")
    if isinstance(named, dict):
        tokens |= {name: _text(name, value) for name, value in named.items()}
    return tokens


def _text(name: str, value: object) -> str:
    text = value.get("content") if isinstance(value, dict) else value
    if not isinstance(text, str):
        raise CannotRender(f"The tokenizer's files give a {name} that is no text.")
    return text
