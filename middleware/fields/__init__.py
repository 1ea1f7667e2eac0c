"""THE tables of request fields: what vLLM's clients send, and what SGLang is sent instead.
One file a kind of request (`chat`, `completions`); `edit` walks them, `middleware.routes` says which path has which.
"""
