"""Vocabularies that differ between vLLM and SGLang: sizes, parser names, quantization, KV cache types."""
