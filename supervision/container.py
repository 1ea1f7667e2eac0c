"""The life of the container from start to exit code: supervisord's main loop, then the sweep and the last words.
`__main__` calls it once, with signals held.
"""

import sys
from contextlib import suppress

from supervisor.medusa import asyncore_25 as asyncore
from supervisor.states import SupervisorStates

from supervision import orphans, previous, shimlog
from supervision.lastwords import compose, leave
from supervision.options import Options
from supervision.output import ContainerOutput
from supervision.state import State
from supervision.supervisor import Supervisor
from supervision.transcript import Transcript

KILL_PATIENCE_SECONDS = 5
FLUSH_PATIENCE_SECONDS = 5


def run() -> int:
    output = ContainerOutput(sys.stdout.fileno())
    transcript = Transcript(output)
    state = State(transcript)
    orphans.become_reaper()
    try:
        options = _supervise(transcript, state, output)
    except BaseException as error:
        _leave_failure(error, state)
        output.flush(FLUSH_PATIENCE_SECONDS)
        raise
    finally:
        # Also when supervisord itself failed: its programs would go on without it.
        orphans.kill_all_children(KILL_PATIENCE_SECONDS)
    loss = options.deaths.loss
    if loss is None:
        state.end(0, "it was asked to end")
        output.flush(FLUSH_PATIENCE_SECONDS)
        return 0
    words = compose(loss, transcript.last_lines(loss.program))
    # The files first: who does not read our output may be waited for until we are killed.
    leave(words, state.settings.termination_log, state.settings.shim_log)
    state.end(loss.code, f"{loss}; {loss.diagnosis}" if loss.diagnosis else str(loss))
    output.put(words.encode("utf-8", "backslashreplace"), always=True)
    output.flush(FLUSH_PATIENCE_SECONDS)
    return loss.code


def _supervise(transcript: Transcript, state: State, output: ContainerOutput) -> Options:
    """supervisord.main() with our classes: once, and again after each reload (SIGHUP, supervisorctl reload)."""
    first = True
    while True:
        options = Options(transcript, state)
        options.realize()
        options.first = first
        if first:
            _report_previous(state, output)
        supervisor = Supervisor(options)
        with suppress(asyncore.ExitNow):
            supervisor.main()
        options.close_httpservers()
        options.close_logger()
        first = False
        if options.mood < SupervisorStates.RESTARTING or supervisor.was_asked_to_end:
            return options


def _report_previous(state: State, output: ContainerOutput) -> None:
    file, shim_log = state.settings.state_file, state.settings.shim_log
    if file is None or not (text := previous.report(file)):
        return
    output.put(f"[supervisor] {text}\n".encode())
    if shim_log is not None:
        with suppress(shimlog.Unwritable):
            shimlog.append(shim_log, text)


def _leave_failure(error: BaseException, state: State) -> None:
    """supervisord itself could not start, or has failed; standard error has it already, or will have a traceback."""
    code = error.code if isinstance(error, SystemExit) else 1
    if code in (0, None):  # --help
        return
    why = state.refusal or f"supervisord failed: {error!r}"
    leave(f"[supervisor] {why}\n", state.settings.termination_log, state.settings.shim_log)
    state.end(code if isinstance(code, int) else 1, why)
