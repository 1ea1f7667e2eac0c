"""Which tokenizer turns text into tokens, and what vLLM does beside it in its front end."""

from __future__ import annotations

from shims.flags.draft import Draft
from shims.flags.model import same_revision
from shims.flags.record import Flag, Outcome, already, convert, drop, refuse, refused, rename, same
from shims.values.model import TOKENIZER_MODE

POOL = "SGLang has no pool of tokenizers; its own --tokenizer-worker-num makes more of them"


def tokenizer_mode(draft: Draft, value: str) -> Outcome:
    if value not in TOKENIZER_MODE:
        names = ", ".join(sorted(TOKENIZER_MODE))
        return refused(f"SGLang has no tokenizer mode for '{value}'; those with a counterpart: {names}")
    if value in ("auto", "hf"):
        return already("SGLang's default")
    note = "" if value == "slow" else "SGLang finds the tokenizer and the chat encoding by the model's files"
    return draft.emit("--tokenizer-mode", TOKENIZER_MODE[value], note=note)


FLAGS: tuple[Flag, ...] = (
    rename("--tokenizer", "--tokenizer-path"),
    convert("--tokenizer-mode", tokenizer_mode, to="--tokenizer-mode"),
    convert(
        "--tokenizer-revision",
        same_revision("tokenizer"),
        to="accepted where it is --revision, else refused: SGLang has one revision for all files",
    ),
    same("--skip-tokenizer-init", "endpoints that take text do not work then, in either server"),
    drop("--tokenizer-pool-size", POOL),
    drop("--tokenizer-pool-type", POOL),
    drop("--tokenizer-pool-extra-config", POOL),
    drop("--renderer-num-workers", "threads of vLLM's front end (speed only)"),
    refuse("--io-processor-plugin", "it is a class of vLLM's, which SGLang cannot load; leave it out"),
    refuse("--enable-prompt-embeds", "SGLang takes no embeddings as a prompt on OpenAI's routes; leave it out"),
)
