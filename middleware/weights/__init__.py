"""Weights that change while the server runs: the pause around it, the folder they come from, and how SGLang takes them.
Used by `middleware.endpoints.{pause,weights,transfer,rpc}` and by `middleware.watch`.
"""
