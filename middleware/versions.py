"""The vLLM that we speak for, because clients go by it, and ourselves."""

VLLM_VERSION = "0.33.0"
OUR_VERSION = "0.1.0"
