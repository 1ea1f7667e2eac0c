"""The fast path: events of which all is known but one text are put together again without being read.
Used by `chat_stream` and `completion_stream`; the tables of shapes are theirs.

A shape's bytes hold quotes that are not escaped, which no text inside a JSON string can: they are the event's own.
"""

from dataclasses import dataclass

# Where the id begins, in every event with choices: data: {"id":"
ID_AT = 13
CHOICES = b',"choices":['
INDEX = CHOICES + b'{"index":'


@dataclass(frozen=True, slots=True)
class Shape:
    """From the comma behind a choice's index: what stands before the text and behind it, in SGLang's and in ours.

    With `again` the text is told twice, with that between.
    """

    before: bytes
    behind: bytes
    ours_before: bytes
    ours_behind: bytes
    again: bytes = b""


class Shapes:
    """shapes = Shapes(table)
    shapes.learn(event, id, model)     # of a stream's first event with choices
    shapes.retell(event)               # or None
    """

    __slots__ = ("_head", "_ours", "_shapes")

    def __init__(self, shapes: tuple[Shape, ...]) -> None:
        self.keep(*shapes)
        self._head = b""
        self._ours = b""

    def keep(self, *shapes: Shape) -> None:
        """From now on these alone."""
        # As tuples, with lengths: this is looked at for every token of every stream.
        self._shapes = [
            (s.before, len(s.before), s.behind, len(s.behind), s.ours_before, s.ours_behind, s.again) for s in shapes
        ]

    @property
    def learned(self) -> bool:
        return bool(self._head)

    def learn(self, event: bytes, ours: bytes) -> None:
        """`ours` is the beginning of our event, up to its choices."""
        end_of_id = event.find(b'"', ID_AT)
        choices = event.find(CHOICES)
        if event.startswith(b'data: {"id":"') and 0 < end_of_id < choices:
            self._head = event[end_of_id:choices] + INDEX
            self._ours = ours + INDEX

    def retell(self, event: bytes) -> bytes | None:
        head = self._head
        end_of_id = event.find(b'"', ID_AT)
        if not head or not event.startswith(head, end_of_id):
            return None
        index_at = end_of_id + len(head)
        comma = event.find(b",", index_at)
        for before, before_length, behind, behind_length, ours_before, ours_behind, again in self._shapes:
            if event.endswith(behind) and event.startswith(before, comma):
                text = event[comma + before_length : -behind_length]
                if again:
                    text = text + again + text
                return self._ours + event[index_at:comma] + ours_before + text + ours_behind
        return None
