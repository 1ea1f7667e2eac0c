"""supervisord's options with our section beside its own and our classes in the place of its own.
`container` makes one for each start; every process reaches what it reports to through it.
"""

import os
from typing import Any

from supervisor import supervisord
from supervisor.options import ServerOptions

from supervision import logfiles, programs
from supervision.deaths import Deaths
from supervision.settings import SECTION, Settings, read
from supervision.signals import Wake, let_signals_through
from supervision.state import State
from supervision.transcript import ChannelHandler, Transcript


class Options(ServerOptions):  # type: ignore[misc]  # supervisor has no types
    first: bool
    test = False

    def __init__(self, transcript: Transcript, state: State) -> None:
        super().__init__()
        self.transcript = transcript
        self.state = state
        self.settings = Settings()
        self.deaths = Deaths(self)
        self.wake = Wake()
        self._early: list[str] | None = []  # what is wrong with supervisord's own log, before anybody hears it
        logfiles.hang_in(self._of_logs)

    def realize(self, *args: Any, **kwargs: Any) -> None:
        super().realize(*args, **{"doc": supervisord.__doc__, **kwargs})
        # A daemon would be another process than the one whose exit the container runtime waits for.
        self.nodaemon = True
        self.silent = True  # its own lines go through the transcript
        # 4.3.0 sets the umask only when it becomes a daemon; log files would be readable to all.
        os.umask(self.umask)

    def read_config(self, configfile: Any) -> Any:
        section = super().read_config(configfile)
        settings = read(configfile, {**self.environ_expansions, "here": self.here})
        names = {process.name for group in section.process_group_configs for process in group.process_configs}
        for engine in settings.engines:
            if engine not in names:
                raise ValueError(f"[{SECTION}] engines names {engine!r}; the programs are {', '.join(sorted(names))}")
        self.settings = self.state.settings = settings
        return section

    def usage(self, msg: Any) -> None:
        """Exit 2, after which nobody can ask any more why."""
        self.state.refusal = f"supervisord cannot start: {msg}"
        super().usage(msg)

    def processes_from_section(self, parser: Any, section: str, group_name: str, klass: Any = None) -> Any:
        return super().processes_from_section(parser, section, group_name, programs.OURS[klass])

    def make_logger(self) -> None:
        super().make_logger()
        fmt = "%(asctime)s %(levelname)s %(message)s\n"
        # First: what its file says of itself is heard here.
        self.logger.handlers.insert(0, ChannelHandler(self.transcript.channel("supervisor"), fmt, self.loglevel))
        early, self._early = self._early or [], None
        for text in early:
            self.warn(text)

    def _of_logs(self, text: str) -> None:
        if self._early is None:
            self.warn(text)
        else:
            self._early.append(text)

    def info(self, text: str) -> None:
        self.logger.info(text)

    def warn(self, text: str) -> None:
        self.logger.warn(text)  # noqa: G010  # not logging's logger

    def setsignals(self) -> None:
        super().setsignals()
        let_signals_through()
