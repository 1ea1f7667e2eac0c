"""Whether SGLang 0.5.23 can serve a LoRA adapter that lies in a folder here, by its configuration and by the indexes of
its weights and the model's. SGLang takes more than it can run: what does not fit ends the engine at the first request.
Asked before a load at run time, and by the shims before the start; standard library only, because they import it.
"""

import json
import math
import os
import re
import stat
import struct
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

LARGEST_CONFIG = 10_000_000  # bytes
LARGEST_INDEX = 100_000_000  # bytes, as safetensors itself has it
SHOWN = 60  # characters of somebody else's value

# The shape of each tensor.
Shapes = Mapping[str, tuple[int, ...]]

_WEIGHT = re.compile(r"(?:base_model\.model\.)?(.+)\.lora_([AB])\.weight")
_LAYER = re.compile(r"layers\.(\d+)\..+")
# A text model's own layers, and not those of its eyes and ears.
_OF_TEXT = re.compile(r"(?:language_model\.)?(?:model\.)?(?:language_model\.)?layers\.(\d+)\..+")
_FLOATS = frozenset({"F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2"})  # packed numbers have other shapes
# What reads from the model's stream, and what writes to it.
_READERS = frozenset({"q_proj", "k_proj", "v_proj", "gate_proj", "up_proj"})
_WRITERS = frozenset({"o_proj", "down_proj"})
# SGLang has one layer for several of these, and finds it by the first.
_LEADERS = {"k_proj": "q_proj", "v_proj": "q_proj", "up_proj": "gate_proj"}
HALF = "Train both, or add the missing ones as zeros"


def unfit(folder: str, model: str = "") -> str:
    """Why not, as a sentence; empty where nothing speaks against it, and where it cannot be known.
    `model` is the folder of the base model, if it is here."""
    if not os.path.isdir(folder):  # noqa: PTH112 - any text, be it no path at all
        return ""
    try:
        config = _document(Path(folder, "adapter_config.json"))
    except OSError:
        return ""  # SGLang finds no adapter there.
    except ValueError:
        return "adapter_config.json is no JSON object"
    try:
        weights = {name: shape for name, (_, shape) in tensors(folder).items() if all(shape)}
    except (OSError, ValueError):
        weights = {}
    return _of_config(config) or _halves(weights) or _of_weights(weights, config, _Base(model))


def tensors(folder: str) -> dict[str, tuple[str, tuple[int, ...]]]:
    """The number format and the shape of all that lies there. Raises OSError; ValueError for what is no such file."""
    found = {}
    for path in sorted(Path(folder).glob("*.safetensors")):
        for name, entry in _index(path).items():
            if isinstance(entry, dict) and _is_shape(entry.get("shape")):
                found[name] = (str(entry.get("dtype")), tuple(entry["shape"]))
    return found


def _of_config(config: Mapping[str, Any]) -> str:
    """SGLang uses these four without a look: its message is Python's, or the engine is dead."""
    rank, alpha, modules = (config.get(name) for name in ("r", "lora_alpha", "target_modules"))
    if str(config.get("peft_type")).lower() != "lora":
        return f"it is no LoRA adapter: its peft_type is {_shown(config.get('peft_type'))}"
    if type(rank) is not int or rank < 1:
        return f"its r is {_shown(rank)}, which is no whole number above 0"
    if isinstance(alpha, bool) or not isinstance(alpha, int | float):
        return f"its lora_alpha is {_shown(alpha)}, which is no number"
    if config.get("use_rslora"):  # SGLang 0.5.23 does not look at it: every answer would be another.
        scaled = f"{alpha * math.sqrt(rank):g}"
        same = f"a lora_alpha of {scaled} without it is the same"
        return f"it has use_rslora, and SGLang scales by lora_alpha / r alone: {same}"
    if not isinstance(modules, (str, list)) or not all(isinstance(one, str) for one in modules):
        return f"its target_modules are {_shown(modules)}, which is no list of names"
    return ""


def _halves(weights: Shapes) -> str:
    """SGLang joins the weights of q, k and v in a layer, as its `normalize_qkv_proj` goes through them."""
    layers: dict[str, set[str]] = defaultdict(set)
    for name in weights:
        if found := _LAYER.search(name):
            layers[found[1]].add(name)
    for names in layers.values():
        wanted = ["v_proj", "k_proj"] if any("k_proj" in name for name in names) else ["v_proj"]
        for name in names:
            if "q_proj" in name and (lost := [one for one in wanted if name.replace("q_proj", one) not in names]):
                return f"it has weights for q_proj and none for {lost[0]}. {HALF}"
    return ""


def _of_weights(weights: Shapes, config: Mapping[str, Any], base: "_Base") -> str:
    rank, listed = config["r"], config["target_modules"]
    leaves = {one.rpartition(".")[2] for one in listed} if isinstance(listed, list) else None
    modules = {found[1] for name in weights if (found := _WEIGHT.fullmatch(name))}
    for module in sorted(modules):
        stem, _, leaf = module.rpartition(".")
        lead = f"{stem}.{_LEADERS.get(leaf, leaf)}"
        if lead not in modules and base.has(lead):
            return f"it has weights for {leaf} and none for {_LEADERS.get(leaf)}. {HALF}"
        if base.lacks(module):
            return f"it has weights for layer {_number(module)}, and the model has {base.layers} layers"
        if leaves is not None and leaf not in leaves and base.is_known and not base.has(module):
            return f"it has weights for {_shown(leaf)}, which neither the model nor its own target_modules know"
    for name, shape in weights.items():
        if (found := _WEIGHT.fullmatch(name)) is None:
            continue
        module, letter = found.groups()
        if len(shape) < 2:
            return f"{_shown(name)} has {len(shape)} dimension"
        given, width = shape[-2:] if letter == "A" else shape[:-3:-1]
        if given != rank:
            return f"{_shown(name)} is of rank {given}, and adapter_config.json says {rank}"
        if (wanted := base.width(module, letter)) and width != wanted:
            return f"{_shown(name)} is {width} wide, and the model there {wanted}: it is another model's"
    return ""


class _Base:
    """What the adapter must fit: the model's weights themselves, or where they are not to be read its configuration."""

    def __init__(self, folder: str) -> None:
        self._linear: dict[str, tuple[int, ...] | None] = {}
        self._modules: set[str] = set()
        self.layers = self._hidden = 0
        if not folder:
            return
        try:
            config = _document(Path(folder, "config.json"))
            self._learn(tensors(folder))
        except (OSError, ValueError):
            return
        parts = (config.get("text_config"), config.get("llm_config"), config)
        text = next((part for part in parts if isinstance(part, dict) and "hidden_size" in part), config)
        self.layers = _size(text.get("num_hidden_layers"))
        self._hidden = _size(text.get("hidden_size"))

    def _learn(self, found: Mapping[str, tuple[str, tuple[int, ...]]]) -> None:
        """By the whole name, and by its end from the layer on, which is the same under every wrapper; None where the
        end means several."""
        for name, (kind, shape) in found.items():
            self._modules.add(_end(name.rpartition(".")[0]))
            if kind not in _FLOATS or len(shape) != 2 or not name.endswith(".weight") or ".experts." in name:
                continue
            module = name.removesuffix(".weight")
            self._linear[module] = shape
            if (end := _end(module)) != module:
                self._linear[end] = shape if self._linear.get(end, shape) == shape else None

    @property
    def is_known(self) -> bool:
        return bool(self._modules)

    def has(self, module: str) -> bool:
        return _end(module) in self._modules

    def lacks(self, module: str) -> bool:
        return bool(self.layers and _OF_TEXT.fullmatch(module) and _number(module) >= self.layers)

    def width(self, module: str, letter: str) -> int:
        """What goes into the module, or comes out of it; 0 where it is not known."""
        if _LAYER.search(module) is None and module != "lm_head":  # An embedding is stored the other way round.
            return 0
        shape = self._linear.get(module) or self._linear.get(_end(module))
        if shape is not None:
            return shape[1] if letter == "A" else shape[0]
        leaf = module.rpartition(".")[2]
        streams = leaf in (_READERS if letter == "A" else _WRITERS)
        return self._hidden if streams and _OF_TEXT.fullmatch(module) else 0


def _end(module: str) -> str:
    found = _LAYER.search(module)
    return found[0] if found else module


def _number(module: str) -> int:
    found = _LAYER.search(module)
    return int(found[1]) if found else 0


def _index(path: Path) -> dict[str, Any]:
    with open(path, "rb", opener=_opened) as file:
        head = file.read(8)
        if len(head) < 8 or (size := struct.unpack("<Q", head)[0]) > min(
            LARGEST_INDEX, os.fstat(file.fileno()).st_size
        ):
            raise ValueError(f"{path} has no index")
        return _object(file.read(size))


def _document(path: Path) -> dict[str, Any]:
    with open(path, "rb", opener=_opened) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ValueError(f"{path} is no file")
        return _object(file.read(LARGEST_CONFIG))


def _object(text: bytes) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except RecursionError as error:
        raise ValueError("too deep") from error
    if isinstance(value, dict):
        return value
    raise ValueError("no object")


def _opened(path: str, flags: int) -> int:
    """A FIFO without a writer is no reason to wait."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)


def _is_shape(value: object) -> bool:
    return isinstance(value, list) and all(type(size) is int for size in value)


def _size(value: object) -> int:
    return value if isinstance(value, int) else 0


def _shown(value: object) -> str:
    text = value if isinstance(value, str) and value.isprintable() and "." in value else repr(value)
    return text if len(text) <= 2 * SHOWN else f"{text[:SHOWN]}..."
