"""`python -I -m middleware --port P --upstream http://127.0.0.1:Q`: serves the middleware until SIGTERM.
Started by supervisord; it exits 0 after a stop, 2 with one sentence if its settings are wrong, 1 if the port is taken.
"""

import gc
import logging
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import NoReturn

import uvicorn
from starlette.types import ASGIApp

from middleware.access_log import AccessLog
from middleware.app import create_app
from middleware.client import ClientProtocol
from middleware.listen import BACKLOG, CannotListen, listening_socket
from middleware.masking import Mask
from middleware.mux.app import create_mux
from middleware.mux.house import read_models
from middleware.mux.named import Lines
from middleware.server import Server
from middleware.settings import Settings, SettingsError, read_settings

log = logging.getLogger("middleware")

# Below what supervision gives us: the rest is for the last words of answers that outlast it.
GRACE_SECONDS = 2
# Objects that are made before circles of them are looked for.
GARBAGE = 20_000
# Longer than haproxy keeps an idle connection, so that it never sends a request into one that we are closing.
KEEP_ALIVE_SECONDS = 75


def main() -> int:
    lines = logging.StreamHandler(sys.stderr)
    lines.setFormatter(Lines("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[lines])
    logging.getLogger("httpx").setLevel(logging.WARNING)
    # uvicorn raises the signal again when it has stopped: this makes the end of a stop an exit, with 0.
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, _stop)
    try:
        settings = read_settings(sys.argv[1:], os.environ)
        app = create_app(settings) if settings.models is None else _several(settings, settings.models)
        sock = listening_socket(settings)
    except SettingsError as exc:
        return _complain(exc, 2)
    except CannotListen as exc:
        return _complain(exc, 1)
    policy = settings.policy
    ClientProtocol.log = AccessLog(policy.access_log_exclude, mask=Mask(settings.api_keys))
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http=ClientProtocol,
        ws="none",
        lifespan="on",
        access_log=policy.access_log,
        log_level=policy.log_level,
        log_config=None,
        # haproxy says who the client is; whom else to believe is said as to vLLM's uvicorn.
        forwarded_allow_ips=f"127.0.0.1,{os.environ.get('FORWARDED_ALLOW_IPS', '')}".rstrip(","),
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    # What is here stays. Of what requests make, hardly anything is in a circle: one in fifteen of our instructions
    # looked for them.
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE)
    host, port = sock.getsockname()[:2]
    behind = settings.upstream_url if settings.models is None else f"the addresses in {settings.models}"
    log.info("listening on %s:%d for SGLang at %s", host, port, behind)
    Server(config).run(sockets=[sock])
    return 0


def _several(settings: Settings, models: Path) -> ASGIApp:
    """The shims write the specification beside supervisord's socket."""
    return create_mux(settings, read_models(models), models.parent)


def _stop(signum: int, frame: FrameType | None) -> NoReturn:
    sys.exit(0)


def _complain(exc: Exception, code: int) -> int:
    sys.stderr.write(f"middleware: error: {exc}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
