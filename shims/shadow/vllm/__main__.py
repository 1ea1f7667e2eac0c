from vllm import _exec

if __name__ == "__main__":
    _exec()
