"""The operator's command, `vllm-to-sglang`. It needs no GPU, no image and no network; `__main__` is its entry."""
