"""The differential test: every request that a real vLLM was recorded with goes through the middleware over a stand-in
that repeats what a real SGLang answered, and what the client then sees is compared with what vLLM had said.

    python -m tests.differential.report [GROUP | NAME ...]     what differs, by class
    python -m tests.differential.record [--changed] [GROUP ...]  ask the real SGLang again (`make engine` first)
    python -m tests.differential.document [--check]            docs/compatibility.md from the list of differences
    python -m tests.differential.judge FOLDER                  take over new recordings of vLLM
"""
