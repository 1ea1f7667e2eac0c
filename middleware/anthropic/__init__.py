"""Anthropic's /v1/messages as vLLM 0.33.0 serves it: the request becomes a chat, and the chat's answer a message.
Entry points: `schema`, `request`, `answer` and `stream`, all of them called by `endpoints.messages`.
"""
