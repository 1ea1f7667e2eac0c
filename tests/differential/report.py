"""What differs from vLLM now, by class: `python -m tests.differential.report [GROUP | NAME ...] [--all] [--texts]`.
Run by hand while working on the middleware; with names it shows each difference and both answers.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence

from tests.differential.accepted import ACCEPTED
from tests.differential.compare import compare
from tests.differential.difference import Difference
from tests.differential.groups import GROUPS
from tests.differential.replay import Replayed, replay
from tests.differential.wire import DROPPED, Answer, Exchange, decoded, exchanges

NAMES = 12


def found(replayed: Replayed) -> list[Difference]:
    """A request whose answer could not be had has one difference: that."""
    result = []
    for name, entry in replayed.entries.items():
        if problem := replayed.problems.get(name):
            result.append(Difference(name, "engine", "unrecorded", problem, "-"))
        else:
            result += compare(entry, replayed.answers[name])
    return result


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("words", nargs="*", metavar="GROUP|NAME", help=f"groups: {', '.join(GROUPS)}")
    parser.add_argument("--all", action="store_true", help="those of the list of accepted ones as well")
    parser.add_argument("--texts", action="store_true", help="only what is advice: messages, and the order of keys")
    parser.add_argument("--class", dest="part", default="", help="all names of the classes that hold this text")
    options = parser.parse_args(argv)
    groups = [word for word in options.words if word in GROUPS] or list(GROUPS)
    names = {word for word in options.words if word not in GROUPS}
    runs = {group: replay(GROUPS[group]) for group in groups}
    everything: list[Difference] = []
    accepted = 0
    for run in runs.values():
        for difference in found(run):
            if names and difference.name not in names:
                continue
            if not options.all and any(a.covers(difference, run.entries[difference.name]) for a in ACCEPTED):
                accepted += 1
            elif difference.advisory == options.texts:
                everything.append(difference)
    if names:
        _in_full(runs, names, everything)
    else:
        _by_class(everything, options.part)
    clean = sum(len(run.entries) for run in runs.values()) - len({d.name for d in everything})
    left = sum(len(run.left_over) for run in runs.values())
    fatal = [name for group in groups for name, heard in exchanges(group).items() if any(_died(e) for e in heard)]
    print(f"\n{len(everything)} differences in {len({d.name for d in everything})} requests; {clean} requests without")
    print(f"{accepted} accepted; {left} requests no longer ask SGLang all that was recorded (record --changed)")
    print(f"{len(fatal)} of which SGLang died, or did not answer: {' '.join(fatal) or '-'}")
    print("kinds:", ", ".join(f"{kind} {count}" for kind, count in Counter(d.kind for d in everything).most_common()))
    return bool(everything)


def _died(exchange: Exchange) -> bool:
    return exchange.answer.status == DROPPED


def _by_class(differences: Sequence[Difference], part: str) -> None:
    classes: dict[str, list[str]] = defaultdict(list)
    for difference in differences:
        classes[difference.of_kind].append(difference.name)
    for of_kind, names in sorted(classes.items(), key=lambda item: -len(item[1])):
        if part in of_kind:
            shown = names if part else names[:NAMES]
            more = f" ... (+{len(names) - len(shown)})" if len(names) > len(shown) else ""
            print(f"{len(names):4}  {of_kind}\n        {' '.join(shown)}{more}")


def _in_full(runs: dict[str, Replayed], names: set[str], differences: Sequence[Difference]) -> None:
    for group, run in runs.items():
        for name in (name for name in run.entries if name in names):
            entry = run.entries[name]
            body = (entry.request.body or b"").decode(errors="replace")
            print(f"\n## {group} {name}: {entry.request.method} {entry.request.target} {body[:1500]}")
            for difference in differences:
                if difference.name == name:
                    print(f"   {difference.kind:10} {difference.where}: {difference.ours} -> {difference.theirs}")
            print(f"ours   {_shown(run.answers[name])}\ntheirs {_shown(entry.answer)}")


def _shown(answer: Answer) -> str:
    document = decoded(answer.body)
    body = (answer.body or b"").decode(errors="replace") if document is None else json.dumps(document)
    return f"{answer.status} {dict(answer.headers)}\n       {body[:3000]}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
