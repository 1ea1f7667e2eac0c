"""A shell script, as containers carry it behind `sh -c`, to the simple commands in it, each with its environment.
Nothing is run: `program` looks through the commands for the one that starts vLLM.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from operate.found import Unreadable
from operate.shell_words import Reader, Variables

KEYWORDS = ("if", "then", "else", "elif", "do", "while", "until", "!", "{", "}")
ENDS = ("fi", "done", "esac")
TESTS = ("if", "while", "until", "for", "case", "[", "[[", "test")
ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)(\+?)=")
CONDITIONS = "its script has conditions: they are not worked out here, and every command in it counts as run"
FILES = "its script reads another script, which cannot be read here"
LONGEST = 200_000


@dataclass(frozen=True, slots=True)
class Command:
    argv: tuple[str, ...]
    env: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Script:
    commands: tuple[Command, ...]
    notes: tuple[str, ...]


def read(text: str, env: Mapping[str, str], arguments: Sequence[str] = ()) -> Script:
    """`arguments` as after `sh -c SCRIPT`: the first is $0. Raises Unreadable."""
    if len(text) > LONGEST:
        raise Unreadable("its script is too long to be a container's command")
    variables = Variables(dict(env), positional=list(arguments[1:]))
    commands = tuple(_Interpreter(Reader(text, variables), set(env)).commands())
    return Script(commands, tuple(variables.notes))


@dataclass(slots=True)
class _Interpreter:
    reader: Reader
    exported: set[str]

    def commands(self) -> list[Command]:
        found: list[Command] = []
        while self.reader.at < len(self.reader.text):
            words, own = self._simple_command()
            while words and words[0] in KEYWORDS:
                self._noted(words.pop(0))
            if words and words[0] == "eval":
                inner = _Interpreter(self.reader.inside(" ".join(words[1:])), self.exported)
                found += inner.commands()
            elif words and words[0] not in ENDS and not self._builtin(words):
                values = self.reader.variables.values
                env = {name: values[name] for name in sorted(self.exported) if name in values}
                found.append(Command(tuple(words), {**env, **own}))
            elif not words:
                self.reader.variables.values |= own
        return found

    def _simple_command(self) -> tuple[list[str], dict[str, str]]:
        """Up to the next `;`, `&`, `|`, line end or parenthesis: its words, and the assignments before them."""
        reader = self.reader
        words: list[str] = []
        own: dict[str, str] = {}
        delimiters: list[str] = []  # of here-documents
        while reader.at < len(reader.text):
            if reader.peek() in " \t" or reader.peek(2) == "\\\n":
                reader.at += 2 if reader.peek() == "\\" else 1
            elif reader.peek() == "#":
                end = reader.text.find("\n", reader.at)
                reader.at = len(reader.text) if end < 0 else end
            elif reader.peek() in "<>" or reader.peek(2) == "&>":
                self._redirection(words, delimiters)
            elif reader.peek() in ";&|()\n":
                if reader.peek() == "\n":
                    self._skip_here_documents(delimiters)
                reader.at += 1
                break
            elif not words and (match := ASSIGNMENT.match(reader.text, reader.at)):
                self._assignment(match, own)
            else:
                words += reader.word()
        return words, own

    def _assignment(self, match: re.Match[str], own: dict[str, str]) -> None:
        reader, variables = self.reader, self.reader.variables
        name, reader.at = match[1], match.end()
        if reader.peek() == "(":
            reader.at += 1
            items = self._array()
            variables.arrays[name] = [*(variables.arrays.get(name, []) if match[2] else ()), *items]
            return
        before = variables.values.get(name, "") if match[2] else ""
        own[name] = before + " ".join(reader.word())

    def _array(self) -> list[str]:
        reader, items = self.reader, []
        while reader.peek() != ")":
            if not reader.peek():
                raise Unreadable("its script cannot be read: a list is not closed")
            if reader.peek() == "#":
                end = reader.text.find("\n", reader.at)
                reader.at = len(reader.text) if end < 0 else end
            elif reader.peek() in " \t\n;&|<>(":
                reader.at += 1
            else:
                items += reader.word()
        reader.at += 1
        return items

    def _redirection(self, words: list[str], delimiters: list[str]) -> None:
        reader = self.reader
        glued = reader.text[reader.at - 1 : reader.at]
        if words and words[-1].isdigit() and glued.isdigit():
            words.pop()  # the 2 of `2>`
        operator = re.compile(r"&>>?|<<<|<<-?|>>|[<>]&|>\||<>|[<>]").match(reader.text, reader.at)
        assert operator is not None
        reader.at = operator.end()
        while reader.peek() in (" ", "\t"):
            reader.at += 1
        target = reader.word()
        if operator[0] in ("<<", "<<-"):
            delimiters += target[:1]

    def _skip_here_documents(self, delimiters: list[str]) -> None:
        reader = self.reader
        for delimiter in delimiters:
            end = re.compile(rf"\n\t*{re.escape(delimiter)}(?=\n|\Z)").search(reader.text, reader.at)
            reader.at = end.end() if end else len(reader.text)

    def _builtin(self, words: list[str]) -> bool:
        """What changes the shell itself; True if there is no program to start."""
        name, rest, variables = words[0], words[1:], self.reader.variables
        self._noted(name)
        if name in ("export", "declare", "readonly", "local", "typeset"):
            for word in rest:
                variable, equals, value = word.partition("=")
                if equals:
                    variables.values[variable] = value
                if name == "export" or "-x" in rest:
                    self.exported.add(variable)
        elif name == "unset":
            for word in rest:
                variables.values.pop(word, None)
        elif name == "set" and "--" in rest:
            variables.positional = rest[rest.index("--") + 1 :]
        elif name == "shift":
            del variables.positional[: int(rest[0]) if rest and re.fullmatch("[0-9]{1,9}", rest[0]) else 1]
        elif name in ("source", "."):
            variables.notes[FILES] = None
        else:
            return name in (*TESTS, "set", "cd", "echo", "trap")
        return True

    def _noted(self, name: str) -> None:
        if name in TESTS:
            self.reader.variables.notes[CONDITIONS] = None
