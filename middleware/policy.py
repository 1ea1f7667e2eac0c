"""What vLLM's flags ask of the HTTP API: one frozen value, written by the shims as `policy.json` and read by
`middleware.settings`. A default is vLLM 0.33.0's; standard library only, because the shims import it at every start.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any


class PolicyError(ValueError):
    """The document is no policy; the message is one sentence."""


@dataclass(frozen=True, slots=True)
class Policy:
    # CORS: without origins nobody's browser is allowed.
    allowed_origins: tuple[str, ...] = ()
    allowed_methods: tuple[str, ...] = ("*",)
    allowed_headers: tuple[str, ...] = ("*",)
    allow_credentials: bool = False
    # The server.
    root_path: str = ""
    request_id_headers: bool = False
    load_tracking: bool = False
    log_level: str = "info"  # of uvicorn: critical, error, warning, info, debug, trace
    access_log: bool = True
    access_log_exclude: tuple[str, ...] = ()  # exact paths
    sse_keep_alive_seconds: int = 0  # 0: none
    max_request_body_bytes: int = 0  # 0: no limit (vLLM's 32 MiB hold for its Rust front end alone)
    # Routes.
    dev_mode: bool = False  # VLLM_SERVER_DEV_MODE
    rl: bool = False  # VLLM_SHIM_RL: what prime-rl adds to vLLM; on with dev_mode too
    scale_out: bool = False  # --enable-scale-out: tokens in, tokens out; on with rl too
    runtime_lora: bool = False  # VLLM_ALLOW_RUNTIME_LORA_UPDATING
    sleep_mode: bool = False  # SGLang has its --enable-memory-saver, of --enable-sleep-mode
    weights_backup: bool = False  # and its --enable-weights-cpu-backup: what is released comes back as it was
    profiler: bool = False  # --profiler-config names one, or VLLM_TORCH_PROFILER_DIR is set
    documents: bool = True  # /docs, /redoc, /openapi.json
    response_store: bool = False  # VLLM_ENABLE_RESPONSES_API_STORE
    # The model.
    any_model_name: bool = False  # VLLM_SKIP_MODEL_NAME_VALIDATION
    model_path: str = ""  # as it was given; empty: as SGLang tells it
    # generate, transcription, generate+transcription, embed, classify, score, reward; empty: as SGLang tells it
    task: str = ""
    # How the model is spoken to.
    tokenizer: str = ""  # a folder or a name on the hub; empty: the model's
    tokenizer_mode: str = "auto"
    revision: str = ""  # of the tokenizer's repository
    download_dir: str = ""  # a cache of the hub that is not the environment's
    chat_template: str = ""  # a file; empty: the tokenizer's own
    content_format: str = "auto"  # --chat-template-content-format: auto, string, openai
    default_chat_template_kwargs: Mapping[str, Any] = field(default_factory=dict)
    exclude_tools_when_tool_choice_none: bool = False
    # Requests.
    vocab_size: int | None = None  # of the model's configuration; None: token ids are not held against it
    tool_parser: bool = True  # whether SGLang has a tool call parser; False: tools are refused as vLLM refuses them
    auto_tool_choice: bool = True  # that, and --enable-auto-tool-choice; False: tool_choice auto is refused
    reasoning_parser: bool = False  # whether vLLM's command line names one
    deterministic: bool = False  # --enable-deterministic-inference: without it SGLang ignores seeds
    max_logprobs: int = 20  # -1: no limit
    routed_experts: bool = False  # --enable-return-routed-experts
    max_stop_strings: int = 4
    max_n: int = 16384
    max_completion_prompts: int = 1024
    # Put into requests that do not set them, by vLLM's names; max_tokens is for those that set no length at all.
    sampling_defaults: Mapping[str, Any] = field(default_factory=dict)
    max_new_tokens: int = 0  # the server's cap, 0: none
    reasoning_effort_map: Mapping[str, str] = field(default_factory=dict)
    disabled_thinking_effort: str = "auto"  # --anthropic-disabled-thinking-effort; auto: tried on the template
    trust_request_chat_template: bool = False
    trust_request_mm_kwargs: bool = False
    local_media_path: str = ""  # file:// URLs below it are allowed; empty: none
    max_queued_tokens: int = 0  # 0: no limit
    # Answers.
    response_role: str = "assistant"
    return_tokens_as_token_ids: bool = False
    force_include_usage: bool = False
    prompt_tokens_details: bool = False
    fingerprint_mode: str = "full"  # none, full, hash, custom
    fingerprint_value: str = ""
    tokenizer_info: bool = False
    # Adapters named at the start: the model names that select them.
    adapters: tuple[str, ...] = ()
    max_loras: int = 0  # slots for adapters; 0: SGLang serves none
    # Metrics and health.
    histogram_buckets: Mapping[str, Sequence[float]] = field(default_factory=dict)  # bounds by family, where not vLLM's
    cache_config: Mapping[str, str] = field(default_factory=dict)  # labels of vllm:cache_config_info that flags say
    max_running: int = 0  # how many requests SGLang runs at once, of --max-num-seqs; 0: as many as it has room for
    watchdog_seconds: int = 300  # SGLang's --watchdog-timeout: without progress for longer the engine counts as stalled
    errors_log: str = ""  # VLLM_SHIM_DUMP_ERRORS: the file that requests are written to that fail; empty: none
    stall_seconds: int = 0  # VLLM_SHIM_STALL_SECONDS: a stalled engine is ended after so long; 0: it is only reported

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def from_json(document: object) -> Policy:
    """Raises PolicyError for anything that is no object of these fields."""
    if not isinstance(document, dict):
        raise PolicyError("the policy is no JSON object")
    known = {f.name for f in fields(Policy)}
    if unknown := sorted(set(document) - known):
        raise PolicyError(f"the policy has unknown fields: {', '.join(unknown)}")
    values: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in document.items()}
    return Policy(**values)
