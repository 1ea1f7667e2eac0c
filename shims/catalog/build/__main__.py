"""`make catalog`: rebuilds vllm.json and sglang.json from the published packages, and prints what changed.
Facts only (names, arity, types, choices, defaults): no help texts are taken.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from shims import catalog
from shims.catalog.build import changes, files, releases
from shims.catalog.build.asking import AskError
from shims.catalog.build.fetch import FetchError
from shims.flags import TABLE

SHIMS = Path("shims")


def main() -> int:
    parser = argparse.ArgumentParser(prog="make catalog", description="VLLM=... and SGLANG=... name other releases.")
    parser.add_argument("--vllm", help="default: the catalog's own version")
    parser.add_argument("--sglang", help="default: the catalog's own version")
    given = parser.parse_args()
    os.chdir(catalog.HERE.parent.parent)
    try:
        for project, version in {"vllm": given.vllm, "sglang": given.sglang}.items():
            path = files.path_of(project)
            old = files.read(path)
            new = (releases.vllm if project == "vllm" else releases.sglang)(version or old.version)
            gone = changes.by_name(old.flags).keys() - changes.by_name(new.flags)
            decided = TABLE if project == "vllm" else None
            for line in changes.report(old, new, decided, changes.mentions(gone, SHIMS)):
                print(line)
            files.write(path, new)
    except (AskError, FetchError, subprocess.CalledProcessError) as error:
        print(f"make catalog: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
