"""The life of the container from start to exit code: supervisord's main loop, then the sweep and the last words.
`__main__` calls it once, with signals held.
"""

import sys
from contextlib import suppress

from supervisor.medusa import asyncore_25 as asyncore
from supervisor.states import SupervisorStates

from supervision import orphans
from supervision.lastwords import compose, write_termination_log
from supervision.options import Options
from supervision.output import ContainerOutput
from supervision.supervisor import Supervisor
from supervision.transcript import Transcript

KILL_PATIENCE_SECONDS = 5
FLUSH_PATIENCE_SECONDS = 5


def run() -> int:
    output = ContainerOutput(sys.stdout.fileno())
    transcript = Transcript(output)
    orphans.become_reaper()
    try:
        options = _supervise(transcript)
    finally:
        # Also when supervisord itself failed: its programs would go on without it.
        orphans.kill_all_children(KILL_PATIENCE_SECONDS)
        output.flush(FLUSH_PATIENCE_SECONDS)
    loss = options.deaths.loss
    if loss is None:
        return 0
    words = compose(loss, transcript.last_lines(loss.program))
    write_termination_log(options.settings.termination_log, words)
    output.put(words.encode(), always=True)
    output.flush(FLUSH_PATIENCE_SECONDS)
    return loss.code


def _supervise(transcript: Transcript) -> Options:
    """supervisord.main() with our classes: once, and again after each reload (SIGHUP, supervisorctl reload)."""
    first = True
    while True:
        options = Options(transcript)
        options.realize()
        options.first = first
        with suppress(asyncore.ExitNow):
            Supervisor(options).main()
        options.close_httpservers()
        options.close_logger()
        first = False
        if options.mood < SupervisorStates.RESTARTING:
            return options
