"""Writes docs/flags.md, environment.md, metrics.md and models.schema.json, and the README's table of flags, from the
tables themselves: `make docs`; `make check` fails where they differ (`python -m shims.document --check`).
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType

from middleware.metrics import document
from middleware.metrics.document import cell
from shims import environment
from shims.catalog import CatalogFlag, catalogs
from shims.flags import AREAS
from shims.flags.record import Flag
from shims.models.schema import schema

HOME = Path(__file__).resolve().parent.parent
FLAGS = HOME / "docs/flags.md"
VARIABLES = HOME / "docs/environment.md"
METRICS = HOME / "docs/metrics.md"
SCHEMA = HOME / "docs/models.schema.json"
README = HOME / "README.md"
BEGIN, END = "<!-- flags: made by `make docs` -->", "<!-- /flags -->"
HEAD = """# Every flag of vLLM, and what it becomes

Made from the tables in `shims/flags/` by `make docs`. vLLM {vllm}, with the flags that only 0.8 to 0.11 had, and
SGLang {sglang}.

- **same**, **rename**: given to SGLang, under that name
- **convert**: given to SGLang in its own terms, or as far as it has them; what it lacks is refused with the reason
- **ours**: done by haproxy, the middleware or supervisord
- **drop**: ignored, with a line in the report: it changes speed or logs of vLLM's own, never results
- **refuse**: the start ends with the flag's name: ignoring it would change results, security or topology. vLLM's own
  default value is accepted all the same. `VLLM_SHIM_UNSUPPORTED=warn` and `VLLM_SHIM_IGNORE_FLAGS=--a,--b` turn a
  refusal into a warning, except where it says *always*. A flag that vLLM does not have needs the second one.
"""
VARIABLES_HEAD = """# Every variable of vLLM's environment, and what becomes of it

Made from the tables in `shims/environment/` by `make docs`; the names are those of vLLM {vllm}, 0.11 and 0.8. What the
words mean stands in [flags.md](flags.md); **pass** is read by SGLang itself, as it is. A `VLLM_` variable that is not
here is none of vLLM's: it gets a warning. An `SGLANG_` variable that the operator sets wins over a translation.
"""


def flags_page() -> str:
    vllm, sglang = catalogs()
    parts = [HEAD.format(vllm=vllm.version, sglang=sglang.version)]
    for area in AREAS:
        parts.append(f"\n## {title(area)}\n\n| vLLM | | SGLang | why |\n|---|---|---|---|\n")
        parts += [_row(flag, vllm.by_spelling[flag.name]) for flag in area.FLAGS]
    return "".join(parts)


def variables_page() -> str:
    parts = [VARIABLES_HEAD.format(vllm=catalogs()[0].version)]
    for area in (*environment.AREAS, environment.families):
        parts.append(f"\n## {title(area)}\n\n| variable | | becomes | why |\n|---|---|---|---|\n")
        rows = [v for v in area.VARIABLES if not v.quiet]
        parts += [f"| `{v.name}` | {v.action} | {_code(v.to)} | {cell(v.why)} |\n" for v in rows]
    return "".join(parts)


def readme_table() -> str:
    """Counts by area, and the names of what is refused: the flags that stop a start."""
    lines = ["| area | translated | done here | ignored | refused |", "|---|---|---|---|---|"]
    for area in AREAS:
        count = Counter("translated" if f.action in ("same", "rename", "convert") else f.action for f in area.FLAGS)
        numbers = " | ".join(str(count[kind]) for kind in ("translated", "ours", "drop", "refuse"))
        lines.append(f"| {title(area)} | {numbers} |")
    return "\n".join(lines)


def title(area: ModuleType) -> str:
    """The first sentence of the module's docstring, as far as its colon."""
    first = " ".join((area.__doc__ or area.__name__).split("\n\n")[0].split())
    return first.split(". ")[0].split(": ")[0].rstrip(".")


def _row(flag: Flag, known: CatalogFlag) -> str:
    names = [*known.aliases, flag.name, *known.negations[:1]]
    older = f" ({', '.join(known.only_in)} only)" if known.only_in else ""
    why = flag.why + ("; always" if flag.firm else "")
    return f"| {', '.join(f'`{name}`' for name in names)}{older} | {flag.action} | {_code(flag.to)} | {cell(why)} |\n"


def _code(text: str) -> str:
    return f"`{text}`" if text.startswith("-") else cell(text)


def pages() -> Iterator[tuple[Path, str]]:
    yield FLAGS, flags_page()
    yield VARIABLES, variables_page()
    yield SCHEMA, schema()
    yield METRICS, document.page(*(catalog.version for catalog in catalogs()))
    before, _, rest = README.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    yield README, f"{before}{BEGIN}\n{readme_table()}\n{END}{after}"


def main(argv: Sequence[str]) -> int:
    stale = [(path, text) for path, text in pages() if not path.exists() or path.read_text(encoding="utf-8") != text]
    if "--check" in argv:
        for path, _ in stale:
            print(f"{path.relative_to(HOME)} is not what the tables say: run `make docs`", file=sys.stderr)
        return 1 if stale else 0
    for path, text in stale:
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        print(f"wrote {path.relative_to(HOME)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
