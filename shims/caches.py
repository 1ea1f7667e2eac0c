"""A place to write for SGLang's caches, where the default place is none: pods with any uid die on `/.triton`.
`environment` calls `complete`; `__main__` makes the folders.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from shims.catalog import catalogs
from shims.exceptions import StartError
from shims.flags.draft import Draft
from shims.flags.record import Outcome, dropped
from shims.places import DEFAULTS, Places, is_ours

# Models, not compiled code: the next version and another GPU read them as well.
FOR_EVERY_VERSION = ("HF_HOME", "MODELSCOPE_CACHE")
# What a compiler leaves behind. Named one by one: which of them follow SGLANG_CACHE_DIR differs with SGLang's version.
COMPILED = (
    *("TRITON_CACHE_DIR", "TORCHINDUCTOR_CACHE_DIR", "TORCH_EXTENSIONS_DIR", "TVM_FFI_CACHE_DIR", "TILELANG_CACHE_DIR"),
    *("FLASHINFER_WORKSPACE_BASE", "CUDA_CACHE_PATH", "NUMBA_CACHE_DIR", "OUTLINES_CACHE_DIR", "AMD_COMGR_CACHE_DIR"),
    *("MIOPEN_USER_DB_PATH", "MIOPEN_CUSTOM_CACHE_DIR", "SGLANG_JIT_CACHE_DIR", "SGLANG_CACHE_DIR"),
)
FOLDERS = {name: re.sub(r"_(cache_dir|cache_path|cache|dir|base|path|home)$", "", name.lower()) for name in DEFAULTS}


def keyed(places: Places) -> str:
    """Compiled code of one SGLang and one GPU architecture stays with them."""
    return f"{places.root}/sglang-{catalogs()[1].version}-{places.architecture}"


def complete(draft: Draft) -> None:
    """Sets what is not set and could not be written; the operator's own value wins, except a HOME that the container
    runtime has set."""
    places = draft.facts.places
    chosen: dict[str, str] = {}
    for name in DEFAULTS:
        if name not in places.unwritable or name in draft.engine_env:
            continue
        if name != "HOME" and draft.env.get(name):
            if name not in FOR_EVERY_VERSION:  # a volume of models may well be read-only
                draft.warnings.append(f"{name} is {draft.env[name]}, which cannot be written: SGLang may not start")
            continue
        base = places.root if name in FOR_EVERY_VERSION else keyed(places)
        chosen[name] = places.old_home.get(name) or f"{base}/{FOLDERS[name]}"
    if "HOME" in chosen:
        kept = {name: path for name, path in places.old_home.items() if name not in DEFAULTS}
        chosen.update({name: path for name, path in kept.items() if not draft.env.get(name)})
    if _aiter_needs_a_place(draft):
        chosen["AITER_JIT_DIR"] = f"{keyed(places)}/aiter"
    if places.nameless:
        chosen |= dict.fromkeys(("USER", "LOGNAME"), "sglang")
    if chosen:
        draft.engine_env.update(chosen)
        draft.added.append((_summary(chosen, places), "their own places cannot be written by this user"))


def cache_root(draft: Draft, value: str) -> Outcome:
    """VLLM_CACHE_ROOT: the operator's place for compiled code, for every compiler that was not given its own."""
    places = draft.facts.places
    if not places.below(value):
        return dropped("it is no full path, it cannot be written, or what is there is not ours alone")
    if _aiter_needs_a_place(draft):
        draft.engine_env["AITER_JIT_DIR"] = f"{keyed(places)}/aiter"
    for name in COMPILED:
        outcome = draft.set_env(name, f"{keyed(places)}/{FOLDERS[name]}")
    return outcome


def _aiter_needs_a_place(draft: Draft) -> bool:
    name = "AITER_JIT_DIR"
    return bool(draft.facts.places.aiter) and not draft.env.get(name) and name not in draft.engine_env


def folders(engine_env: Mapping[str, str], places: Places) -> list[str]:
    """What is to be made before the engine starts."""
    below = [value for value in engine_env.values() if places.root and value.startswith(f"{places.root}/")]
    return sorted({places.root, keyed(places), *below}) if below else []


def make(engine_env: Mapping[str, str], places: Places) -> None:
    """Ours alone. AITER finds the kernels that came with it, and compiles only what is new. Raises StartError."""
    for folder in folders(engine_env, places):
        try:
            Path(folder).mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StartError(
                f"the cache folder {folder} cannot be made ({error.strerror}): set HOME to a place to write"
            ) from error
        if not is_ours(folder):
            raise StartError(f"the cache folder {folder} is not ours alone: remove it, or set HOME to a place to write")
    jit = engine_env.get("AITER_JIT_DIR", "")
    if places.aiter and jit.startswith(f"{places.root}/"):
        # With AITER_JIT_DIR set it looks for none in its own folder; without it, it loads none from elsewhere.
        for kernel in Path(places.aiter).glob("*.so"):
            link = Path(jit, kernel.name)
            if link.is_symlink():
                link.unlink()
            if not link.exists():
                link.symlink_to(kernel)


def _summary(chosen: Mapping[str, str], places: Places) -> str:
    """One line for all: their common folder, and what they are."""
    new = [name for name, value in chosen.items() if value.startswith(f"{places.root}/")]
    old = [name for name in chosen if name not in new]
    texts = [f"{', '.join(new)} in {places.root}"] if new else []
    return "; ".join([*texts, *(f"{name}={chosen[name]}" for name in old)])
