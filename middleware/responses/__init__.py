"""/v1/responses as vLLM makes it: a conversation becomes a chat, and the chat's answer the items of a response.
Used by `middleware.endpoints.responses`; what SGLang itself stores goes its own way (`middleware.dialect.responses`).
"""
