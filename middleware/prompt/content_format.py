"""Whether a chat template wants a message's content as a string or as a list of parts, as vLLM 0.33.0 finds out:
a template that loops over a content wants parts. Called by `prompt.template`.
"""

from collections.abc import Iterator

from jinja2 import nodes

from middleware.prompt.conversation import Format


def detect(tree: nodes.Template) -> Format:
    try:
        return "openai" if any(_content_loops(tree)) else "string"
    except _LoopOverPairs:
        return "string"


class _LoopOverPairs(Exception):
    """A loop over messages or contents with several variables: vLLM gives up and says "string"."""


def _target(loop: nodes.For) -> str:
    if not isinstance(loop.target, nodes.Name):
        raise _LoopOverPairs
    return loop.target.name


def _content_loops(tree: nodes.Template) -> Iterator[bool]:
    items = [_target(loop) for loop in tree.find_all(nodes.For) if _reaches_any(loop.iter, _names_of_messages(tree))]
    in_macros, parameters = _macros(tree, items)
    for loop in tree.find_all(nodes.For):
        over = loop.iter
        if any(_reaches(over, item, "content") for item in items) or (
            isinstance(over, nodes.Name)
            and (over.name in parameters.get(id(loop), ()) or (id(loop) not in in_macros and over.name == "content"))
        ):
            yield bool(_target(loop))


def _names_of_messages(tree: nodes.Template) -> list[str]:
    """`messages` and every name that it, or a slice or selection of it, is assigned to; `ns.rest` for a namespace's."""
    names = ["messages"]
    for name in names:  # Grows while it is walked.
        for assign in tree.find_all(nodes.Assign):
            names += [alias for alias in _aliases(assign, name) if alias not in names]
    return names


def _aliases(assign: nodes.Assign, name: str) -> Iterator[str]:
    target, value = assign.target, assign.node
    if isinstance(target, nodes.Name):
        if _reaches(value, name):
            yield target.name
        if isinstance(value, nodes.Call) and isinstance(value.node, nodes.Name) and value.node.name == "namespace":
            yield from (f"{target.name}.{kw.key}" for kw in value.kwargs if _reaches(kw.value, name))
    elif isinstance(target, nodes.NSRef) and _reaches(value, name):
        yield f"{target.name}.{target.attr}"


def _macros(tree: nodes.Template, items: list[str]) -> tuple[set[int], dict[int, set[str]]]:
    """The loops inside macros, and for each the parameters of its macro that some call gives a content to."""
    inside: set[int] = set()
    parameters: dict[int, set[str]] = {}
    for macro in tree.find_all(nodes.Macro):
        given: set[str] = set()
        names = [argument.name for argument in macro.args]
        for call in tree.find_all(nodes.Call):
            if isinstance(call.node, nodes.Name) and call.node.name == macro.name:
                arguments = [*zip(names, call.args, strict=False), *((kw.key, kw.value) for kw in call.kwargs)]
                given |= {
                    name
                    for name, value in arguments
                    if name in names and any(_reaches(value, item, "content") for item in items)
                }
        for loop in macro.find_all(nodes.For):
            inside.add(id(loop))
            if given:
                parameters[id(loop)] = given
    return inside, parameters


def _reaches_any(node: nodes.Node, names: list[str]) -> bool:
    return any(_reaches(node, name) for name in names)


def _reaches(node: nodes.Node | None, name: str, key: str | None = None) -> bool:
    """Whether an expression is a name (or its key), possibly filtered, tested or sliced."""
    while isinstance(node, (nodes.Filter, nodes.Test)) or (
        isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Slice)
    ):
        node = node.node
    if key is None:
        return node is not None and _is_name(node, name)
    if isinstance(node, nodes.Getitem):
        return isinstance(node.arg, nodes.Const) and node.arg.value == key and _is_name(node.node, name)
    return isinstance(node, nodes.Getattr) and node.attr == key and _is_name(node.node, name)


def _is_name(node: nodes.Node, name: str) -> bool:
    if isinstance(node, nodes.Name):
        return node.ctx == "load" and node.name == name
    base, dot, attribute = name.rpartition(".")
    return bool(dot) and isinstance(node, nodes.Getattr) and node.attr == attribute and _is_name(node.node, base)
