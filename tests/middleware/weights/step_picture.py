"""docs/rl.svg: one step of training, as the trainer, we and SGLang say it to each other.
`make docs` draws it, `make check` fails where it is not what this table says.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from bench.svg import Canvas
from tests.server import ROOT

PICTURE = ROOT / "docs/rl.svg"
TITLE = "One step of training: rollouts stand still while the weights are replaced"
ACTORS = ("trainer", "vllm-to-sglang", "SGLang", "shared volume")
LEFT, APART, TOP, LINE = 90.0, 230.0, 60.0, 30.0
INK, DIM, BLUE, SHADE, PAPER = "#1f2328", "#656d76", "#0969da", "#ddf4ff", "#ffffff"


@dataclass(frozen=True, slots=True)
class Word:
    """From one actor to another; what is `still` is said while no token is made."""

    source: int
    target: int
    text: str
    still: bool = False
    answer: bool = False


STEP = (
    Word(0, 1, "POST /inference/v1/generate"),
    Word(1, 2, "/generate"),
    Word(0, 3, "step_12/*.safetensors"),
    Word(0, 1, "POST /pause?mode=keep"),
    Word(1, 2, "/pause_generation in_place", still=True),
    Word(0, 1, 'POST /update_weights {"weight_dir"}', still=True),
    Word(1, 3, "whole? of this model?", still=True),
    Word(1, 2, "/update_weights_from_disk", still=True),
    Word(2, 3, "reads", still=True),
    Word(1, 0, '{"status": "ok"}', still=True, answer=True),
    Word(0, 1, "POST /resume", still=True),
    Word(1, 2, "/continue_generation"),
    Word(1, 0, "the rollouts' answers", answer=True),
)


def drawn() -> str:
    width, height = 2 * LEFT + (len(ACTORS) - 1) * APART, TOP + len(STEP) * LINE + 30
    canvas = Canvas(width, height, TITLE)
    canvas.rect(0, 0, width, height, PAPER)
    still = [number for number, word in enumerate(STEP) if word.still]
    top = TOP + still[0] * LINE - LINE / 3
    canvas.rect(20, top, width - 40, (still[-1] - still[0] + 1) * LINE, SHADE)
    canvas.text(width - 28, top + 14, "no token is made; /health is 200", size=11, fill=DIM, anchor="end")
    for number, actor in enumerate(ACTORS):
        x = LEFT + number * APART
        canvas.text(x, 26, actor, size=14, fill=INK, anchor="middle")
        canvas.line([(x, 36), (x, height - 14)], DIM, 1.0, "3 4")
    for number, word in enumerate(STEP):
        y = TOP + number * LINE + 12
        first, last = (LEFT + at * APART for at in (word.source, word.target))
        away = 1 if last > first else -1
        canvas.line([(first, y), (last, y)], BLUE, 1.4, "5 3" if word.answer else "")
        canvas.line([(last - 7 * away, y - 4), (last, y), (last - 7 * away, y + 4)], BLUE, 1.4)
        beside = first + away * 10
        canvas.text(beside, y - 5, word.text, size=11.5, fill=INK, anchor="start" if away > 0 else "end")
    return canvas.rendered()


def main(argv: Sequence[str]) -> int:
    picture = drawn()
    if PICTURE.exists() and PICTURE.read_text(encoding="utf-8") == picture:
        return 0
    if "--check" in argv:
        print(f"{PICTURE.relative_to(ROOT)} is not what its table says: run `make docs`", file=sys.stderr)
        return 1
    PICTURE.write_text(picture, encoding="utf-8")
    print(f"wrote {PICTURE.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
