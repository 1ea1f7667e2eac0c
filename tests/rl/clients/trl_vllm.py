"""TRL's VLLMClient before a server as `vllm serve` with VLLM_SERVER_DEV_MODE=1: it generates, chats, scores, and learns
that it cannot send weights. Run by `tests.rl.test_clients`; of vLLM, which it asks for, it uses one function.
"""

import importlib
import json
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType

import trl.generation  # noqa: F401

IDS = [[1, 4093, 198, 6004], [1, 4093, 198, 17, 49000, 30000, 12]]
QUESTION = [{"role": "user", "content": "Name a colour."}]


def stand_in(name: str, **contents: object) -> None:
    """For a module of vLLM's, which is made for GPUs: the client needs but an address of it until weights are sent."""
    module = sys.modules[name] = ModuleType(name)
    module.__spec__ = ModuleSpec(name, None)
    module.__dict__.update(contents)


def main(url: str) -> dict[str, object]:
    # After `trl.generation`, which would import all of a trainer beside a vLLM that is there.
    stand_in("vllm", __version__="0.27.0")
    stand_in("vllm.utils.network_utils", get_ip=lambda: "127.0.0.1")
    stand_in(
        "vllm.distributed.weight_transfer.nccl_engine", NCCLTrainerSendWeightsArgs=None, NCCLWeightTransferEngine=None
    )
    client = importlib.import_module("trl.generation.vllm_client").VLLMClient(base_url=url, connection_timeout=10)
    told = {
        "model": client.model,
        "sampled": client.generate(IDS, n=2, temperature=1.0, max_tokens=6),
        "ranked": client.generate(IDS, temperature=1.0, max_tokens=6, logprobs=3),
        "chat": client.chat([QUESTION, QUESTION], temperature=1.0, max_tokens=6, tools=[], logprobs=2),
        "scored": client.get_sequence_logprobs(IDS, [1, 2], top_logprobs=4),
        "world": client.get_world_size(),
        "info": client.get_server_info(),
    }
    try:
        client.init_communicator(device="cpu")
    except Exception as error:
        told["weights"] = f"{type(error).__name__}: {error}"
    return told


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1])))
