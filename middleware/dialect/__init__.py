"""SGLang's answers in vLLM's words: whole bodies, streams of events, and errors.
Used by `middleware.proxy` through `reply`; a table in each module says of every key what becomes of it.
"""
