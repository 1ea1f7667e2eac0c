"""continue_final_message as transformers 5 does it: a mark is put behind the last message's text, and of what comes
out all is cut off from the mark on. Called by `prompt.renderer`; errors are in transformers' words.
"""

from collections.abc import Callable, Sequence

from middleware.prompt.conversation import Message
from middleware.prompt.failures import BadPrompt

MARK = "CONTINUE_FINAL_MESSAGE_TAG "


def render_open(messages: Sequence[Message], source: str, render: Callable[[list[Message]], str]) -> str:
    if "content" not in source:
        raise BadPrompt(
            'continue_final_message is set to "content" but this is not an accepted field in the chat_template'
        )
    *before, last = messages
    text, marked = _marked(last["content"])
    rendered = render([*before, {**last, "content": marked}])
    if text.strip() not in rendered or MARK.strip() not in rendered:
        raise BadPrompt(
            "continue_final_message is set but the final message does not appear in the chat after applying the chat "
            "template! This can happen if the chat template deletes portions of the final message. Please verify the "
            "chat template and final message in your chat to ensure they are compatible."
            f"Final message to continue: {text.strip()}\nRendered chat:\n{rendered}"
        )
    at = rendered.rindex(MARK.strip())
    if rendered.startswith(MARK, at):
        return rendered[:at]
    # The template trims: so must what is continued be.
    return rendered[:at].rstrip()


def _marked(content: object) -> tuple[str, object]:
    """The text to continue, and the content with the mark behind it."""
    if isinstance(content, str):
        return content, content + MARK
    parts = [dict(part) for part in content] if isinstance(content, list) else []
    for part in reversed(parts):
        if "text" in part:
            text = part["text"]
            part["text"] = text + MARK
            return text, parts
    raise BadPrompt("continue_final_message is set but we could not find any text to continue in the final message!")
