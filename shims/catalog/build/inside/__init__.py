"""What runs in another interpreter, beside vLLM or SGLang, and hands their parsers over as records.
`asking` starts it there: standard library only, Python 3.10 (Ubuntu 22.04's, which some SGLang bases have).
"""
