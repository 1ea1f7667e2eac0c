"""A vLLM command line becomes a Plan. `__main__` is the only module here that touches the world."""

VERSION = "0.1.0"
