"""What must be awaited of a request between its table's walk and its sending: its prompt's token ids, long checks.
Entry point: `prepare.Preparation`; `prompts.Prompts` is also asked by /tokenize.
"""
