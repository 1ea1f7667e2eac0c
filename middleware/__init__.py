"""Makes a vLLM request an SGLang request, and an SGLang answer a vLLM answer.
Run by supervisord as `python -I -m middleware`, between haproxy and SGLang.
"""
