"""Which places of this machine can be written, where caches may live, and for which GPU: read once by `facts`."""

from __future__ import annotations

import os
import pwd
import re
import shlex
import stat
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

from shims import files
from shims.cli import CommandLine
from shims.exceptions import CommandLineError

UNKNOWN = "unknown"
FOLDER = ".vllm-to-sglang"
NAMES_OF_A_USER = ("LOGNAME", "USER", "LNAME", "USERNAME")
# What programs look for in a home of old, and the variable that tells them where it is.
IN_THE_OLD_HOME = {
    "HF_HOME": ".cache/huggingface",
    "MODELSCOPE_CACHE": ".cache/modelscope",
    "AWS_SHARED_CREDENTIALS_FILE": ".aws/credentials",
    "AWS_CONFIG_FILE": ".aws/config",
    "NETRC": ".netrc",
}
# Where a library writes when its variable is not set; a place may be below another's. SGLang 0.5.23 puts the caches of
# Triton and the others below its own, which does not follow XDG_CACHE_HOME.
DEFAULTS = {
    "HOME": "",
    "XDG_CACHE_HOME": "$HOME/.cache",
    "XDG_CONFIG_HOME": "$HOME/.config",
    "XDG_DATA_HOME": "$HOME/.local/share",
    "XDG_STATE_HOME": "$HOME/.local/state",
    "HF_HOME": "$XDG_CACHE_HOME/huggingface",
    "MODELSCOPE_CACHE": "$HOME/.cache/modelscope",
    "SGLANG_CACHE_DIR": "$HOME/.cache/sglang",
    "SGLANG_JIT_CACHE_DIR": "$HOME/.cache/sglang/jit",
    "TRITON_CACHE_DIR": "$SGLANG_CACHE_DIR/triton",
    "TORCHINDUCTOR_CACHE_DIR": "$SGLANG_CACHE_DIR/inductor",
    "CUDA_CACHE_PATH": "$SGLANG_CACHE_DIR/nv",
    "TILELANG_CACHE_DIR": "$SGLANG_CACHE_DIR/tilelang",
    "FLASHINFER_WORKSPACE_BASE": "$SGLANG_CACHE_DIR",
    "TVM_FFI_CACHE_DIR": "$HOME/.cache/tvm-ffi",
    "TORCH_EXTENSIONS_DIR": "$XDG_CACHE_HOME/torch_extensions",
    "OUTLINES_CACHE_DIR": "$XDG_CACHE_HOME/outlines",
    "NUMBA_CACHE_DIR": "$XDG_CACHE_HOME/numba",
    "MPLCONFIGDIR": "$XDG_CONFIG_HOME/matplotlib",
    "MIOPEN_USER_DB_PATH": "$HOME/.config/miopen",
    "MIOPEN_CUSTOM_CACHE_DIR": "$HOME/.cache/miopen",
    "AMD_COMGR_CACHE_DIR": "$XDG_CACHE_HOME/comgr",
}


@dataclass(frozen=True, slots=True)
class Places:
    root: str = ""  # the folder that caches may live in, ours alone
    architecture: str = UNKNOWN
    unwritable: frozenset[str] = frozenset()  # the variables above whose place cannot be written
    old_home: Mapping[str, str] = field(default_factory=dict)  # what is there, by the variable that names it
    nameless: bool = False  # this user has no line in /etc/passwd, and no variable names it
    aiter: str = ""  # AITER's compiled kernels, in a folder where no new ones are to be put

    def below(self, folder: str) -> bool:
        """Whether caches live on that volume."""
        return bool(folder) and self.root.startswith(folder.rstrip("/") + "/")


def read(command: CommandLine, env: Mapping[str, str], run_dir: str) -> Places:
    home = env.get("HOME") or os.path.expanduser("~")  # noqa: PTH111 - Path.home() raises for a user without a name
    found = in_force({**env, "HOME": home})
    architecture = gpu_architecture(env)
    root = next(root for root in _roots(command, env, run_dir) if root)
    moved = Places(root).below(env.get("VLLM_CACHE_ROOT", ""))
    return Places(
        root=root,
        architecture=architecture,
        unwritable=frozenset(name for name, place in found.items() if not writable(place)),
        old_home={name: path for name, rest in IN_THE_OLD_HOME.items() if _is_there(path := f"{home}/{rest}")},
        nameless=_nameless() and not any(env.get(name) for name in NAMES_OF_A_USER),
        aiter=_aiter(env, moved=moved) if architecture.startswith("gfx") else "",
    )


def check(data: object, what: str) -> None:
    """The names in the preview's file of facts. Raises CommandLineError."""
    known = {f.name for f in fields(Places)}
    if not isinstance(data, dict) or (unknown := sorted(set(data) - known)):
        words = ", ".join(unknown) if isinstance(data, dict) else "(not a JSON object)"
        raise CommandLineError(f"{what}: unknown {words}; known: {', '.join(sorted(known))}")


def in_force(env: Mapping[str, str]) -> dict[str, str]:
    """Each variable's own value, or its default in terms of those before it."""
    found: dict[str, str] = {}
    for name, default in DEFAULTS.items():
        parent, _, rest = default.removeprefix("$").partition("/")
        found[name] = env.get(name) or (f"{found[parent]}/{rest}".rstrip("/") if default else "/")
    return found


def writable(place: str) -> bool:
    """Whether a folder is there that can be written, or could be made."""
    path = Path(place)
    if not path.is_absolute():
        return False
    try:
        while not path.exists():
            path = path.parent
        return path.is_dir() and os.access(path, os.W_OK | os.X_OK)
    except OSError:  # a loop of links, or a file where a folder should be
        return False


def _roots(command: CommandLine, env: Mapping[str, str], run_dir: str) -> Iterator[str]:
    """First the volumes that the operator named, which outlive this container; then our own folder."""
    model = command.positional or command.last("--model", "") or ""
    volumes = [env.get("VLLM_CACHE_ROOT"), env.get("HF_HOME"), command.last("--download-dir"), _mount_of(model)]
    for volume in volumes:
        if volume and writable(volume) and _keeps_locks(volume):
            root = f"{Path(volume).as_posix().rstrip('/')}/{FOLDER}-{os.geteuid()}"
            yield root if is_ours(root) or not os.path.lexists(root) else ""
    yield f"{run_dir}/cache"


def _mount_of(model: str) -> str | None:
    """The volume that a local model lies on; not the container's own root."""
    path = Path(model)
    if not path.is_absolute() or not files.is_there(path):
        return None
    place = next((p for p in (path, *path.parents) if p.is_mount()), Path("/"))
    return None if place == Path("/") else str(place)


def _keeps_locks(volume: str) -> bool:
    """Buckets mounted as folders rename and lock nothing, and compilers' caches do both."""
    try:
        rows = [row.split() for row in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError):
        return True
    real = os.path.realpath(volume)
    mounts = [(row[4], row[row.index("-") + 1]) for row in rows if "-" in row]
    below = [(len(at), kind) for at, kind in mounts if real == at or real.startswith(at.rstrip("/") + "/")]
    return not max(below, default=(0, ""))[1].startswith("fuse")


def is_ours(folder: str) -> bool:
    """Compiled code is loaded from there: nobody else may have made it, and not everybody may write it. A group may:
    Kubernetes gives the whole volume to it (fsGroup), the model's weights too."""
    try:
        found = os.lstat(folder)
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o002


def amd_nodes(machine: Path) -> list[tuple[Path, int]]:
    """The folder and the version of each GPU that AMD's kernel driver lists, by its number."""
    found = []
    for node in machine.glob("sys/class/kfd/kfd/topology/nodes/*"):
        version = re.search(r"^gfx_target_version (\d+)$", text(node / "properties"), re.MULTILINE)
        if version and int(version[1]):  # 0 is a CPU
            found.append((node, int(version[1])))
    return sorted(found, key=lambda each: int(each[0].name))


def gpu_architecture(env: Mapping[str, str], machine: Path = Path("/")) -> str:
    """AMD's by the kernel driver's own list, NVIDIA's by its product name, without torch and without a GPU library."""
    versions = {f"gfx{number // 10000}{number // 100 % 100:x}{number % 100:x}" for _, number in amd_nodes(machine)}
    for file in machine.glob("proc/driver/nvidia/gpus/*/information"):
        if model := re.search(r"^Model:\s*(.+?)\s*$", text(file), re.MULTILINE):
            versions.add(model[1])
    found = "+".join(sorted(versions)) or env.get("PYTORCH_ROCM_ARCH") or UNKNOWN
    return re.sub(r"[^a-z0-9.+]+", "-", found.lower()).strip("-")[:80] or UNKNOWN


def text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _is_there(path: str) -> bool:
    try:
        return (any(os.scandir(path)) if Path(path).is_dir() else Path(path).is_file()) and os.access(path, os.R_OK)
    except OSError:
        return False


def _nameless() -> bool:
    try:
        pwd.getpwuid(os.geteuid())
    except KeyError:
        return True
    return False


def _aiter(env: Mapping[str, str], *, moved: bool) -> str:
    """Where the engine's Python would find them. Nothing is imported: AITER writes as soon as it is."""
    probe = "import importlib.util as u; s = u.find_spec('aiter'); print(s.submodule_search_locations[0] if s else '')"
    try:
        python = shlex.split(env.get("VLLM_SHIM_ENGINE") or "python3")[0]
        run = subprocess.run([python, "-c", probe], check=False, capture_output=True, text=True, timeout=30)
    except (OSError, ValueError, IndexError, subprocess.SubprocessError):
        return ""
    folder = f"{run.stdout.strip()}/jit"
    return folder if Path(folder).is_dir() and (moved or not writable(folder)) else ""
