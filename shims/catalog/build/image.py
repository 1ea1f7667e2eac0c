"""The image's build runs it: writes `image.json`, the catalog of the SGLang in the base image, so that a flag that
this SGLang does not have is refused by name. Run by our own Python; SGLang's is asked beside it.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
import tempfile

from shims.catalog.build import files
from shims.catalog.build.asking import Answer, AskError, ask
from shims.catalog.build.packages import STUBS
from shims.settings import DEFAULT_ENGINE

IMAGE = files.path_of("image")
OPTIONAL_PACKAGES = ("lmcache", "modelscope", "ray")  # what flags of ours need, and not every base has
HAS_SGLANG = "import importlib.util, sys; sys.exit(0 if importlib.util.find_spec('sglang') else 3)"


def main() -> int:
    parser = argparse.ArgumentParser(prog="shims.catalog.build.image", description=__doc__)
    parser.add_argument("--python", default=shlex.split(DEFAULT_ENGINE)[0], help="the interpreter that runs SGLang")
    python = parser.parse_args().python
    IMAGE.unlink(missing_ok=True)
    if not has_sglang(python):
        print(
            f"WARNING: {python} has no SGLang: this image starts no engine without VLLM_SHIM_ENGINE,"
            f" and knows SGLang {files.read(files.path_of('sglang')).version}'s flags",
            file=sys.stderr,
        )
        return 0
    try:
        answer = installed(python)
    except AskError as error:
        print(f"the catalog of the SGLang in this base image cannot be taken: {error}", file=sys.stderr)
        return 1
    found = files.CatalogFile("sglang", answer.version, answer.flags, importable=answer.importable)
    files.write(IMAGE, found)
    print(f"SGLang {answer.version}: {len(answer.flags)} flags")
    return 0


def installed(python: str) -> Answer:
    """The records of the SGLang that `python` can import. Raises AskError."""
    try:
        return ask(python, "sglang", packages=OPTIONAL_PACKAGES)
    except AskError as error:
        # Its kernels may want a GPU as soon as they are imported, and a machine that builds images has none.
        print(f"SGLang cannot be imported here ({error}); asking it with stubs for its kernels", file=sys.stderr)
        return ask(python, "sglang", packages=OPTIONAL_PACKAGES, stubs=STUBS["sglang"])


def has_sglang(python: str) -> bool:
    """Also False where there is no such interpreter."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            return subprocess.run([python, "-c", HAS_SGLANG], cwd=folder, check=False).returncode == 0
        except OSError:
            return False


if __name__ == "__main__":
    sys.exit(main())
