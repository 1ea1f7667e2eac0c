"""Finds a path in the table of routes: one look in a dict, then the few paths with a parameter.
Used by `middleware.front` for every request.
"""

import re
from collections.abc import Iterable

from middleware.route import Route

_PARAMETER = re.compile(r"\{\w+(:path)?\}")


class Router:
    __slots__ = ("_exact", "_patterns")

    def __init__(self, routes: Iterable[Route]) -> None:
        self._exact: dict[str, Route] = {}
        self._patterns: list[tuple[re.Pattern[str], Route]] = []
        for route in routes:
            if "{" in route.path:
                self._patterns.append((_pattern(route.path), route))
            else:
                self._exact[route.path] = route

    def find(self, path: str) -> Route | None:
        """By the decoded path, as vLLM and SGLang do; what is sent on is the path as the client wrote it."""
        route = self._exact.get(path)
        if route is not None:
            return route
        for pattern, parameterised in self._patterns:
            if pattern.fullmatch(path):
                return parameterised
        return None


def _pattern(path: str) -> re.Pattern[str]:
    """`{name}` is one segment of the path, `{name:path}` one or more."""
    parts: list[str] = []
    end = 0
    for found in _PARAMETER.finditer(path):
        parts += [re.escape(path[end : found.start()]), ".+" if found[1] else "[^/]+"]
        end = found.end()
    return re.compile("".join([*parts, re.escape(path[end:])]), re.DOTALL)
