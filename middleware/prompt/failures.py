"""The two ways in which no prompt comes out: the server cannot render at all, or this request cannot be rendered.
Raised throughout `middleware.prompt`; its caller forwards after the first and answers 400 after the second.
"""


class CannotRender(Exception):
    """The model's files do not say what vLLM would render, or vLLM would not render by a template; one sentence."""


class BadPrompt(Exception):
    """vLLM answers this request with 400, in these words."""

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
