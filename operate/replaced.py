"""The files of a run directory that a reload replaces: copies, until the middleware serves by the new ones. `reload`
puts them back where it does not, so that a restart of the middleware finds the models that it has served.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from shims import files

ASIDE = "before-reload"  # of the run directory: of its file system, so that a full one cannot keep them from going back


class Replaced:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._aside = folder / ASIDE
        self._kept: list[str] = []
        self._new: list[str] = []

    def keep(self, names: Iterable[str]) -> None:
        """Those that are there, and the names of those that are not. Raises OSError, and nothing is replaced yet."""
        self.forget()
        self._aside.mkdir(mode=0o700)
        for name in names:
            if (self._folder / name).is_file():
                (self._aside / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(self._folder / name, self._aside / name)
                self._kept.append(name)
            elif not (self._folder / name).exists():
                self._new.append(name)

    def put_back(self) -> str:
        """What is wrong with that, in words; or nothing."""
        wrong = ""
        for name in (*self._kept, *self._new):
            try:
                if name in self._new:
                    (self._folder / name).unlink(missing_ok=True)
                else:
                    (self._aside / name).replace(self._folder / name)
            except OSError as error:
                wrong += f"{', ' if wrong else ''}{name} ({files.reason(error)})"
        if not wrong:
            self.forget()
            return ""
        return (
            f"a restart may read the new ones, as not all could be put back from {self._aside}: {wrong}; mend that and"
            " reload again"
        )

    def forget(self) -> None:
        shutil.rmtree(self._aside, ignore_errors=True)
        self._kept.clear()
        self._new.clear()
