"""/metrics: THE tables of vLLM's series, what SGLang tells for them, and what the middleware counts itself.
`middleware.endpoints.metrics` serves what `page` writes.
"""
