"""The words of a shell script, expanded as a shell does: quotes, `$NAME`, `${NAME:-default}`, arrays, `"$@"`.
`shell` reads commands with it; what only a running shell could know becomes a stand-in and a note.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from operate.found import Unreadable

NAME = re.compile(r"[A-Za-z_]\w*")
SPECIAL = "@*#?$!-0123456789"
PARAMETER = re.compile(r"([A-Za-z_]\w*|[@*#?$!0-9-])(\[[^\]]*\])?(.*)", re.DOTALL)
OUTPUT = "<output of a command>"
END_OF_WORD = " \t\n;&|<>()"
DEEPEST = 20
MOST = 10_000_000  # characters that all expansions of a script bring: `a=$a$a` doubles them


@dataclass(slots=True)
class Variables:
    """What the script knows so far."""

    values: dict[str, str]
    arrays: dict[str, list[str]] = field(default_factory=dict)
    positional: list[str] = field(default_factory=list)
    notes: dict[str, None] = field(default_factory=dict)
    expanded: int = 0

    def get(self, name: str) -> list[str] | None:
        if name in ("@", "*"):
            return self.positional
        if name.isdigit():
            return self.positional[int(name) - 1 : int(name)] or None if name != "0" else ["sh"]
        if name in SPECIAL:
            return [str(len(self.positional))] if name == "#" else ["0"]
        if name in self.arrays:
            return self.arrays[name]
        return [self.values[name]] if name in self.values else None


@dataclass(slots=True)
class Reader:
    """A place in the text. `word` gives the fields of the next word: none, if all of it expands to nothing."""

    text: str
    variables: Variables
    at: int = 0
    open_field: int = 0  # the number of the field that a blank at the end of an expansion has begun
    depth: int = 0

    def inside(self, text: str) -> Reader:
        """Of a text within this one: what `eval` is given, or the default of a variable."""
        if self.depth == DEEPEST:
            raise Unreadable("its script cannot be read: it is nested too deeply")
        return Reader(text, self.variables, depth=self.depth + 1)

    def peek(self, length: int = 1) -> str:
        return self.text[self.at : self.at + length]

    def word(self, stops: str = END_OF_WORD) -> list[str]:
        fields, started = [""], False
        while self.at < len(self.text) and self.peek() not in stops:
            character = self.peek()
            if character in "'\"":
                self.open_field = 0  # what is quoted is a field, even if it is empty
            if character == "'":
                fields[-1] += self._until("'")
                started = True
            elif character == '"':
                started = self._add(fields, self._quoted(), split=False) or started
            elif character == "\\":
                if self.peek(2) != "\\\n":
                    fields[-1] += self.text[self.at + 1 : self.at + 2]
                    started = True
                self.at += 2
            elif self.peek(2) in ("$'", '$"'):
                self.at += 1
            elif character in "$`":
                started = self._add(fields, self._expansion(), split=True, started=started) or started
            else:
                fields[-1] += character
                started = True
                self.at += 1
        if len(fields) > 1 and fields[-1] == "" and self.open_field == len(fields):
            fields.pop()
        return fields if started else []

    def _add(self, fields: list[str], parts: list[str], *, split: bool, started: bool = False) -> bool:
        """Appends to the last field; with several parts, or blanks in an unquoted one, new fields begin."""
        self.variables.expanded += sum(len(part) + 1 for part in parts)
        if self.variables.expanded > MOST:
            raise Unreadable("its script cannot be read: its variables grow without end")
        text = " ".join(parts)
        if split:
            parts = text.split()
            if (fields[-1] or (started and self.open_field == 0)) and text[:1].isspace():
                fields.append("")
                self.open_field = len(fields)
        for index, part in enumerate(parts):
            if index:
                fields.append(part)
            else:
                fields[-1] += part
        if split and parts and text[-1:].isspace():
            fields.append("")
            self.open_field = len(fields)
        return bool(parts)

    def _until(self, quote: str) -> str:
        end = self.text.find(quote, self.at + 1)
        if end < 0:
            raise Unreadable("its script cannot be read: a quote is not closed")
        inside, self.at = self.text[self.at + 1 : end], end + 1
        return inside

    def _quoted(self) -> list[str]:
        """Inside double quotes; more than one field only for `"$@"` and `"${array[@]}"`."""
        self.at += 1
        fields, only_a_list = [""], False
        while self.peek() != '"':
            if not self.peek():
                raise Unreadable("its script cannot be read: a quote is not closed")
            if self.peek() == "\\":
                escaped = self.text[self.at + 1 : self.at + 2]
                fields[-1] += "" if escaped == "\n" else escaped if escaped in '$`"\\' else "\\" + escaped
                self.at += 2
            elif self.peek() in "$`":
                parts = self._expansion()
                only_a_list = not parts and fields == [""]
                self._add(fields, parts, split=False)
            else:
                fields[-1] += self.peek()
                self.at += 1
        self.at += 1
        return [] if only_a_list and fields == [""] else fields

    def _expansion(self) -> list[str]:
        if self.peek() == "`":
            self._until("`")
            return self._output()
        if self.peek(2) == "$(":
            self._matching("(", ")")
            return self._output()
        if self.peek(2) == "${":
            return self._parameter(self._matching("{", "}"))
        name = NAME.match(self.text, self.at + 1)
        found = name[0] if name else self.text[self.at + 1 : self.at + 2]
        if not name and (not found or found not in SPECIAL):
            self.at += 1
            return ["$"]
        self.at += 1 + len(found)
        return self._value(found)

    def _output(self) -> list[str]:
        self.variables.notes["its script uses the output of a command, which is not run here"] = None
        return [OUTPUT]

    def _matching(self, opening: str, closing: str) -> str:
        """What stands between `$(` or `${` and its end."""
        begin = self.at = self.at + 2
        depth = 1
        while depth:
            character = self.peek()
            if not character:
                raise Unreadable(f"its script cannot be read: ${opening} is not closed")
            if character in "'\"" and opening == "(":
                self._until(character)
                continue
            depth += (character == opening) - (character == closing)
            self.at += 2 if character == "\\" else 1
        return self.text[begin : self.at - 1]

    def _parameter(self, inside: str) -> list[str]:
        """`NAME`, `NAME:-default`, `NAME[@]`, `#NAME`, ...; a pattern or a substring is not worked out."""
        match = PARAMETER.fullmatch(inside)
        if match is None or (inside[:1] in "#!" and len(inside) > 1):
            return self._output()
        name, rest = match[1], match[3]
        value = self.variables.get(name)
        operator = rest.lstrip(":")[:1]
        if operator in ("-", "=", "+", "?") and rest[:1] in (":", operator):
            empty = value is None or (rest[0] == ":" and not any(value))
            if (operator == "+") == empty:
                return [""] if operator == "+" else value or [""]
            if operator == "?":
                return self._value(name)
            chosen = " ".join(self.inside(rest.lstrip(":")[1:]).word(stops=""))
            if operator == "=":
                self.variables.values[name] = chosen
            return [chosen]
        if rest:
            return self._output()
        return self._value(name)

    def _value(self, name: str) -> list[str]:
        value = self.variables.get(name)
        if value is None:
            self.variables.notes[f"the variable {name} is set by nothing that can be read here: taken as empty"] = None
            return [""]
        return value
