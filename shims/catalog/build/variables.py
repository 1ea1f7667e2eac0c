"""The names of vLLM's environment variables, read from the source of `vllm/envs.py` without importing it.
`releases` puts them into the catalog.
"""

from __future__ import annotations

import ast

TABLE = "environment_variables"


def names(source: str) -> list[str]:
    """The keys of the table, in its order. Raises ValueError if there is none."""
    for node in ast.parse(source).body:
        targets = [node.target] if isinstance(node, ast.AnnAssign) else getattr(node, "targets", [])
        named = any(isinstance(target, ast.Name) and target.id == TABLE for target in targets)
        if named and isinstance(value := getattr(node, "value", None), ast.Dict):
            return [str(key.value) for key in value.keys if isinstance(key, ast.Constant)]
    raise ValueError(f"there is no table `{TABLE}`")
