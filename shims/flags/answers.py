"""Answers. What vLLM's frontend flags change in them: usage, fingerprints, token names, comments in idle streams.
`flags` puts these records into the table; the middleware is told by its policy.
"""

from __future__ import annotations

from shims.flags.draft import Draft
from shims.flags.record import Flag, Outcome, already, drop, dropped, invalid, ours

NOT_YET = "not served yet; a value that is not vLLM's default gives a warning"
NO_REQUEST_METRICS = "answers hold no `metrics`; the same times, for all requests together, stand in /metrics"
FINGERPRINTS = {"hash": "a hash of what was asked of this server", "custom": "the value of --fingerprint-value"}
DISABLED_THINKING = "the effort that /v1/messages asks for where a request wants no thoughts"
TOKEN_IDS = "token_id:N in the place of a token's text"


def not_served_yet(draft: Draft, flag: str, what: str) -> Outcome:
    """The policy holds it, the middleware does not do it yet. Remove a call when its part is there."""
    draft.warnings.append(f"{flag}: {what} not served yet")
    return dropped(f"{what} not served yet")


def force_include_usage(draft: Draft, value: bool) -> Outcome:
    """vLLM 0.33.0: in every chunk, whatever the request says."""
    draft.ask(force_include_usage=value)
    return Outcome("ours", "every chunk of a stream tells its usage") if value else already("off by default")


def prompt_tokens_details(draft: Draft, value: bool) -> Outcome:
    draft.ask(prompt_tokens_details=value)
    return draft.emit("--enable-cache-report") if value else already("off by default")


def sse_keep_alive(draft: Draft, value: int) -> Outcome:
    if value < 0:
        return invalid(f"{value} is less than 0: give a number of seconds, 0 for none")
    draft.ask(sse_keep_alive_seconds=value)
    if not value:
        return already("vLLM's default: none")
    return not_served_yet(draft, "--sse-keep-alive-interval", "keep-alive comments in an idle stream are")


def tokenizer_info(draft: Draft, value: bool) -> Outcome:
    draft.ask(tokenizer_info=value)
    return Outcome("ours", "the middleware answers /tokenizer_info") if value else already("off by default")


def token_ids(draft: Draft, value: bool) -> Outcome:
    """SGLang 0.5.23 tells no ids in the streams of chat: there they are found by their bytes."""
    draft.ask(return_tokens_as_token_ids=value)
    return Outcome("ours", TOKEN_IDS) if value else already("off by default")


def fingerprint_mode(draft: Draft, value: str) -> Outcome:
    draft.ask(fingerprint_mode=value)
    if value == "full":
        return already("vLLM's default")
    if value == "none":
        return Outcome("ours", "system_fingerprint is null")
    return Outcome("ours", f"system_fingerprint is {FINGERPRINTS[value]}")


def fingerprint_value(draft: Draft, value: str) -> Outcome:
    draft.ask(fingerprint_value=value)
    if draft.given("--fingerprint-mode") != "custom":
        return dropped("used only with --fingerprint-mode custom, as in vLLM")
    return Outcome("ours", f"system_fingerprint is {value!r:.40}")


def response_role(draft: Draft, value: str) -> Outcome:
    draft.ask(response_role=value)
    if value == "assistant":
        return already("vLLM's default")
    return Outcome("ours", f"answers have the role {value!r:.40}")


def per_request_metrics(draft: Draft, value: bool) -> Outcome:
    if not value:
        return already("off by default")
    if draft.given("--disable-log-stats"):
        return invalid("--disable-log-stats is given as well, which vLLM refuses: leave one of them out")
    return dropped(NO_REQUEST_METRICS)


def disabled_thinking(draft: Draft, value: str) -> Outcome:
    draft.ask(disabled_thinking_effort=value)
    if value == "auto":
        return already("vLLM's default: the chat template is tried")
    return Outcome("ours", f"{DISABLED_THINKING}: {value}")


FLAGS: tuple[Flag, ...] = (
    ours("--enable-force-include-usage", force_include_usage, to="every chunk of a stream tells its usage"),
    ours("--response-role", response_role, to="the role in answers"),
    ours("--enable-prompt-tokens-details", prompt_tokens_details, to="--enable-cache-report"),
    ours("--sse-keep-alive-interval", sse_keep_alive, to=NOT_YET),
    ours("--enable-tokenizer-info-endpoint", tokenizer_info, to="the middleware answers /tokenizer_info"),
    ours("--return-tokens-as-token-ids", token_ids, to=TOKEN_IDS),
    ours("--fingerprint-mode", fingerprint_mode, to="what system_fingerprint is made of"),
    ours("--fingerprint-value", fingerprint_value, to="system_fingerprint, with --fingerprint-mode custom"),
    Flag("--enable-per-request-metrics", "drop", why=NO_REQUEST_METRICS, convert=per_request_metrics),
    drop("--enable-flash-late-interaction", "how vLLM computes a score, not what it is"),
    drop("--cohere-is-reasoning-model", "only /cohere/v2/chat reads it, which is not served"),
    drop("--cohere-format", "only Cohere's own tokenizer mode reads it, which SGLang does not have"),
    ours("--anthropic-disabled-thinking-effort", disabled_thinking, to=DISABLED_THINKING),
)
