"""Our log files in the place of supervisord's, whose own (4.3.0) follow links, wait for FIFOs, cut lines where they
rotate, and on a full disk say six lines for each. `options` hangs them in, for the programs and for supervisord itself.
"""

from collections.abc import Callable
from typing import Any

from supervisor import loggers

from supervision.rotated import RotatedFile


class FileHandler(loggers.Handler):  # type: ignore[misc]  # supervisor has no types
    """A log handler of supervisord's own kind."""

    def __init__(self, file: RotatedFile, fmt: str, level: int) -> None:
        super().__init__()
        self.setFormat(fmt)
        self.setLevel(level)
        self._file = file
        self.close, self.reopen, self.remove = file.close, file.reopen, file.remove

    def emit(self, record: Any) -> None:
        self._file.write(record.msg if isinstance(record.msg, bytes) else (self.fmt % record.asdict()).encode())

    def flush(self) -> None:
        """Nothing is held back."""


def hang_in(say: Callable[[str], None]) -> None:
    """From now on supervisord's own way to open a log is ours; `say` hears what is wrong with one."""

    def handle_file(
        logger: Any, filename: str, fmt: str, rotating: bool = False, maxbytes: int = 0, backups: int = 0
    ) -> None:
        file = RotatedFile(filename, maxbytes if rotating else 0, backups, say)
        logger.addHandler(FileHandler(file, fmt, logger.level))

    loggers.handle_file = handle_file
