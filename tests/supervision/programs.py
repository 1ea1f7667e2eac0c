"""Small real programs for the tests, as Python source.
Each writes what it has to tell into a file of its working directory, the container's.
"""

SLEEP = "import time\ntime.sleep(600)\n"

READY_THEN_SLEEP = """
import pathlib, time
pathlib.Path("ready/engine").touch()
print("serving", flush=True)
time.sleep(600)
"""

# Ends when it is told to, and writes down when it was told and when it was done.
ORDERLY = """
import signal, sys, time
def stop(number, frame):
    with open("record", "a") as record:
        print(sys.argv[0].rpartition("/")[2], "told", signal.Signals(number).name, file=record)
    time.sleep(0.1)
    with open("record", "a") as record:
        print(sys.argv[0].rpartition("/")[2], "done", file=record)
    sys.exit()
signal.signal(signal.SIGTERM, stop)
signal.signal(signal.SIGUSR1, stop)
print("up", flush=True)
while True:
    time.sleep(60)
"""

DEAF = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("up", flush=True)
time.sleep(600)
"""


def ends_with(statement: str, lines: int = 0) -> str:
    """Says `lines` lines, then ends by `statement`."""
    return (
        f"import os, signal, sys\nfor number in range({lines}):\n    print('line', number, flush=True)\n{statement}\n"
    )
