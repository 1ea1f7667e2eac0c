"""Turns a GGUF file of SmolLM2 into the folder of a Hugging Face model that SGLang can load.
The installer runs it inside the engine's virtual environment: `convert.py FILE.gguf FOLDER`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch

from cpu_engine import stand_ins

# transformers 5.19 finds neither of the first two in a GGUF file, and a rounded epsilon.
ARCHITECTURE = {"architectures": ["LlamaForCausalLM"], "dtype": "bfloat16", "rms_norm_eps": 1e-5}
QUESTION = [{"role": "user", "content": "What is the capital of France?"}]


def convert(gguf: Path, folder: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig  # noqa: PLC0415

    source: dict[str, Any] = {"pretrained_model_name_or_path": gguf.parent, "gguf_file": gguf.name}
    tokenizer = AutoTokenizer.from_pretrained(**source)
    model = AutoModelForCausalLM.from_pretrained(**source, dtype=torch.float32)
    folder.mkdir(parents=True)
    write_weights(model, folder)
    config = {**model.config.to_dict(), **ARCHITECTURE}
    for name in ("quantization_config", "_name_or_path"):
        config.pop(name, None)
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    GenerationConfig(bos_token_id=1, eos_token_id=2, pad_token_id=2).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    check(model, tokenizer)


def write_weights(model: Any, folder: Path) -> None:
    """By hand: transformers 5.19 refuses to save a model that it read from a GGUF file."""
    from safetensors.torch import save_file  # noqa: PLC0415

    tied = "lm_head.weight"
    weights = {
        name: tensor.to(torch.bfloat16).contiguous() for name, tensor in model.state_dict().items() if name != tied
    }
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    # safetensors 0.8 makes the file readable for its owner alone; SGLang may run as somebody else.
    (folder / "model.safetensors").chmod(0o644)


def check(model: Any, tokenizer: Any) -> None:
    """Weights that were unpacked wrongly load and run, and speak nonsense."""
    question = tokenizer.apply_chat_template(
        QUESTION, add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    answer = tokenizer.decode(model.generate(**question, max_new_tokens=20, do_sample=False)[0])
    print(answer)
    if "Paris" not in answer:
        sys.exit("the converted model does not know the capital of France")


if __name__ == "__main__":
    stand_ins.apply(torch, [])
    convert(Path(sys.argv[1]), Path(sys.argv[2]))
