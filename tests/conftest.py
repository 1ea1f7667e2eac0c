"""Property tests draw the same examples in every run; HYPOTHESIS_PROFILE=explore draws new ones. Of two processes that
share the tests (`make test`) each takes whole files. All that shares the real engine, which starts once, is as one
file, and all that starts engines of its own is another: there are never more than two.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import settings
from hypothesis.internal.conjecture import providers
from xdist.remote import Producer  # type: ignore[import-untyped]
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

settings.register_profile("fixed", derandomize=True, deadline=None)
settings.register_profile("explore", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fixed"))
# Or it draws from the constants of whatever modules its process has loaded by then: other examples in every run.
assert callable(providers._get_local_constants)
providers._get_local_constants = lambda: providers._local_constants


ENGINES = ("tests/engine/", "tests/rl/")
_OWN = ("adapters", "diagnosis", "every_flag", "metrics_flags", "turns", "weights")
OWN_ENGINES = ("tests/rl/", *(f"tests/engine/test_{name}.py" for name in _OWN))


class ByFile(LoadScopeScheduling):  # type: ignore[misc]  # xdist says nothing of its types
    """Our own scheduler: groups by marks (`--dist loadgroup`) do nothing with pytest 9.2 and pytest-xdist 3.8."""

    def _split_scope(self, nodeid: str) -> str:
        if nodeid.startswith(OWN_ENGINES):
            return "engines of their own"
        return "the engine" if nodeid.startswith(ENGINES) else nodeid.partition("::")[0]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByFile:
    return ByFile(config, log)
