"""Requests that SGLang would refuse or stumble over though vLLM serves them, and those that nobody should be sent.
Used by the tables in `middleware.fields` and by the proxy.
"""
