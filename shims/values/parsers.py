"""The names of tool-call and reasoning parsers. A name without a counterpart is refused with the list of those that
have one: an ignored parser would return tool calls as text.

Both vocabularies read from the registries of vLLM 0.33.0 and SGLang 0.5.23; same output format, other name.
"""

from __future__ import annotations

TOOL_CALL = {
    "apertus": "apertus2509",
    "beam": "beam",
    "cohere_command4": "cohere_command4",
    "deepseek_v3": "deepseekv3",
    "deepseek_v31": "deepseekv31",
    "deepseek_v32": "deepseekv32",
    "deepseek_v4": "deepseekv4",
    "deepseek_v41": "deepseekv41",
    "dots": "dots",
    "gemma4": "gemma4",
    "gigachat3": "gigachat3",
    "glm45": "glm45",
    "glm47": "glm47",
    "hermes": "hermes",
    "hf": "response_template",
    "hy_v3": "hunyuan",
    "inkling": "inkling",
    "internlm": "interns1",
    "k2_horizon": "k2_horizon",
    "kimi_k2": "kimi_k2",
    "kimi_k3": "kimi_k3",
    "lfm2": "lfm2",
    "ling3": "ling3",
    "llama3_json": "llama3",
    "llama4_json": "llama3",
    "llama4_pythonic": "pythonic",
    "mimo": "mimo",
    "minicpm5": "minicpm5",
    "minimax_m2": "minimax-m2",
    "minimax_m3": "minimax-m3",
    "mistral": "mistral",
    "muse_glimmer": "muse",
    "openai": "gpt-oss",
    "poolside_v1": "poolside_v1",
    "pythonic": "pythonic",
    "qwen3_coder": "qwen3_coder",
    "qwen3_json": "qwen25",
    "qwen3_xml": "qwen3_coder",
    "step3": "step3",
    "step3p5": "step3p5",
}

REASONING = {
    "beam": "beam",
    "cohere_command4": "cohere_command4",
    "deepseek_r1": "deepseek-r1",
    "deepseek_v3": "deepseek-v3",
    "deepseek_v4": "deepseek-v4",
    "deepseek_v41": "deepseek-v41",
    "gemma4": "gemma4",
    "glm45": "glm45",
    "glm47": "glm45",
    "gpt_oss": "gpt-oss",
    "granite_thinking_parser": "granite_thinking_parser",
    "hf": "response_template",
    "holo2": "deepseek-v3",
    "hunyuan_a13b": "hunyuan",
    "hy_v3": "hunyuan",
    "inkling": "inkling",
    "k2_horizon": "k2_horizon",
    "kimi_k2": "kimi_k2",
    "kimi_k3": "kimi_k3",
    "ling3": "ling3",
    "mimo": "mimo",
    "minimax_m2": "minimax",
    "minimax_m2_append_think": "minimax-append-think",
    "minimax_m3": "minimax-m3",
    "mistral": "mistral",
    "muse_glimmer": "muse",
    "nemotron_v3": "nemotron_3",
    "openai_gptoss": "gpt-oss",
    "poolside_v1": "poolside_v1",
    "qwen3": "qwen3",
    "step3": "step3",
    "step3p5": "step3p5",
    "step5": "deepseek-r1",  # vLLM registers its DeepSeek R1 parser under this name
}

# Not the same to the last mark.
APART = {
    "holo2": "a request that does not say `thinking` may come back with its reasoning in the content",
    "hunyuan_a13b": "SGLang leaves the <answer> marks of the Hunyuan A13B model in the content",
}
# What a request may ask for, vLLM 0.33.0.
EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")

# Model families whose tool calls are always Mistral's, by config.json's model_type or architecture, else by name.
MISTRAL_FAMILY = ("mistral", "mixtral", "ministral", "magistral", "devstral", "codestral", "pixtral")
