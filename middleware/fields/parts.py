"""The parts of a message's content: vLLM's forms that SGLang 0.5.23 does not know are put into those it does.
Called by `fields.messages` for each content that is a list.
"""

from typing import Any

import msgspec

from middleware.errors import bad_request

Part = dict[str, msgspec.Raw]

_PARTS = msgspec.json.Decoder(list[Part])
_TEXT = msgspec.Raw(b'"text"')
# The same in both.
_KNOWN = frozenset({"text", "input_audio", "tool_reference"})
# Texts by another name, and where the text stands.
_TEXTS = {"input_text": "text", "output_text": "text", "refusal": "refusal", "thinking": "thinking"}
_MEDIA = {
    "image_url": "ChatCompletionContentPartImageParam",
    "video_url": "ChatCompletionContentPartVideoParam",
    "audio_url": "ChatCompletionContentPartAudioParam",
}
_EMBEDDED = frozenset({"image_embeds", "audio_embeds", "video_embeds", "prompt_embeds", "image_pil"})
# What vLLM reads of a medium; it ignores the rest.
_OF_MEDIA = frozenset({"url", "detail"})
# Pydantic's, of what it shows of a value.
_SHOWN = 50


def rewritten(raw: msgspec.Raw, role: str) -> msgspec.Raw | None:
    """None where SGLang can have them as they are."""
    try:
        parts = _PARTS.decode(raw)
    except msgspec.ValidationError:
        return _with_plain_texts(raw, role)
    changed = False
    for place, part in enumerate(parts):
        settled = _settled(part, role)
        if settled is not part:
            parts[place] = settled
            changed = True
    return msgspec.Raw(msgspec.json.encode(parts)) if changed else None


def _with_plain_texts(raw: msgspec.Raw, role: str) -> msgspec.Raw:
    """vLLM takes a bare string for a part of text."""
    parts: list[Any] = msgspec.json.decode(raw)
    if not all(isinstance(part, str | dict) for part in parts):
        raise bad_request("Each part of a message's content must be an object, or a string.")
    whole = msgspec.json.encode([{"type": "text", "text": part} if isinstance(part, str) else part for part in parts])
    return rewritten(msgspec.Raw(whole), role) or msgspec.Raw(whole)


def _settled(part: Part, role: str) -> Part:
    given = part.get("type")
    kind = None if given is None else msgspec.json.decode(given)
    if kind in _KNOWN:
        return part
    if kind is None:
        return _of_no_type(part)
    if kind in _TEXTS:
        if kind == "thinking" and role == "assistant":
            return part
        return {"type": _TEXT, "text": part.get(_TEXTS[kind], msgspec.Raw(b'""'))}
    if kind in _MEDIA:
        return _plain(kind, part)
    if kind == "input_image":
        return _of_url("image_url", part["image_url"]) if "image_url" in part else part
    if kind in _EMBEDDED:
        raise bad_request(f"Content parts of type {kind} are not supported: SGLang takes no embeddings in a chat.")
    raise bad_request(f"Unknown part type: {kind}")


def _of_no_type(part: Part) -> Part:
    for kind in _MEDIA:
        if kind in part:
            return _of_url(kind, part[kind])
    if "input_audio" in part:
        return {"type": msgspec.Raw(b'"input_audio"'), **part}
    raise bad_request("Missing 'type' field in multimodal part.")


def _of_url(kind: str, raw: msgspec.Raw) -> Part:
    value = msgspec.json.decode(raw)
    if isinstance(value, str):
        value = {"url": value}
    if not isinstance(value, dict) or not isinstance(value.get("url"), str):
        raise bad_request(f"{kind} of a content part must have a URL: SGLang keeps no media under names of their own.")
    value = {name: item for name, item in value.items() if name in _OF_MEDIA}
    return {"type": msgspec.Raw(msgspec.json.encode(kind)), kind: msgspec.Raw(msgspec.json.encode(value))}


def _plain(kind: str, part: Part) -> Part:
    """Without what SGLang alone knows: sizes that are the operator's to choose, and a name for others' caches."""
    value = msgspec.json.decode(part[kind]) if kind in part else None
    if isinstance(value, dict):
        if value.keys() <= _OF_MEDIA:
            return part
        return {**part, kind: msgspec.Raw(msgspec.json.encode({k: v for k, v in value.items() if k in _OF_MEDIA}))}
    text = repr(value)
    text = text if len(text) <= _SHOWN else f"{text[: _SHOWN // 2]}...{text[1 - _SHOWN // 2 :]}"
    raise bad_request(
        f"1 validation error for {_MEDIA[kind]}\n{kind}\n  Input should be a valid dictionary "
        f"[type=dict_type, input_value={text}, input_type={type(value).__name__}]\n"
        "    For further information visit https://errors.pydantic.dev/2.14/v/dict_type"
    )
