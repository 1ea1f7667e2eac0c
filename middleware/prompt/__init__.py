"""The prompt that vLLM would show the model, rendered here where SGLang would show it another one.
Entry points: `needs.why_render`, `renderer.Renderer` and `files.TokenizerFiles`.
"""
