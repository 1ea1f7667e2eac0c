"""When a lame duck is over, by what haproxy counts."""

import threading
from collections.abc import Iterator

from supervision.lameduck import requests, wait

# haproxy 2.6.12, the columns behind the eighth cut off.
STATISTICS = """# pxname,svname,qcur,qmax,scur,smax,slim,stot,
public,FRONTEND,,,1,1,8132,19,
probe,BACKEND,0,0,0,0,814,0,
lame_duck,flag,0,0,0,0,,0,
middleware,middleware,0,0,0,1,,7,
middleware,BACKEND,0,0,0,1,814,7,
metrics,BACKEND,0,0,0,0,814,3,

"""


def test_only_what_is_passed_on_counts_as_a_request() -> None:
    assert requests(STATISTICS) == 7
    assert requests("\n") == 0


def test_it_is_over_when_it_is_ended_from_outside() -> None:
    over = threading.Event()

    def ever_more() -> Iterator[int]:
        for number in range(1_000_000):
            if number == 3:
                over.set()
            yield number

    numbers = ever_more()
    wait(3600, lambda: next(numbers), over)
    assert next(numbers) <= 5
