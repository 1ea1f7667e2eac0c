"""The embedded default: the real SGLang on a CPU, with a real chat model of 135M parameters.
The Makefile runs `install.py` and `run.py` by their paths; the product starts `launch` where it would start SGLang.
"""
