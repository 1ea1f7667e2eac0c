"""/openapi.json, /docs and /redoc: which routes there are, made from the table of routes.
Called through the table of routes unless --disable-fastapi-docs; SGLang's own would describe another server.
"""

import re
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from middleware.context import Context
from middleware.versions import VLLM_VERSION

_PARAMETER = re.compile(r"\{(\w+)(?::path)?\}")
# The pages are drawn by the reader's browser, with the scripts that FastAPI's pages name too.
_SWAGGER = """<!DOCTYPE html>
<html>
<head>
<title>vLLM API on SGLang - Swagger UI</title>
<link rel="stylesheet" href="https://cdn.jsdelivr.net/npm/swagger-ui-dist@5/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="https://cdn.jsdelivr.net/npm/swagger-ui-dist@5/swagger-ui-bundle.js"></script>
<script>SwaggerUIBundle({url: "openapi.json", dom_id: "#swagger-ui"})</script>
</body>
</html>
"""
_REDOC = """<!DOCTYPE html>
<html>
<head><title>vLLM API on SGLang - ReDoc</title></head>
<body>
<redoc spec-url="openapi.json"></redoc>
<script src="https://cdn.jsdelivr.net/npm/redoc@2/bundles/redoc.standalone.js"></script>
</body>
</html>
"""


async def openapi(context: Context, request: Request) -> Response:
    paths: dict[str, dict[str, Any]] = {}
    for path, methods in context.paths.items():
        plain = _PARAMETER.sub(r"{\1}", path)
        parameters = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
            for name in _PARAMETER.findall(path)
        ]
        paths[plain] = {method.lower(): _operation(parameters, method) for method in methods}
    info = {"title": "vLLM API on SGLang", "version": VLLM_VERSION}
    return JSONResponse({"openapi": "3.1.0", "info": info, "paths": paths})


def _operation(parameters: list[dict[str, Any]], method: str) -> dict[str, Any]:
    operation: dict[str, Any] = {"responses": {"200": {"description": "Successful Response"}}}
    if parameters:
        operation["parameters"] = parameters
    if method in ("POST", "PUT"):
        operation["requestBody"] = {"content": {"application/json": {"schema": {}}}}
    return operation


async def docs(context: Context, request: Request) -> Response:
    return HTMLResponse(_SWAGGER)


async def redoc(context: Context, request: Request) -> Response:
    return HTMLResponse(_REDOC)
