"""`vllm serve --help`: every flag that has a decision, by area, from the table itself."""

from __future__ import annotations

from shims.catalog import catalogs
from shims.flags import AREAS

HEAD = """usage: vllm serve [MODEL] [flags]

Runs SGLang in the place of vLLM {vllm}. vLLM's flags are translated; SGLang {sglang}'s own flags are passed on by
their exact names; anything else is refused by name. See what a command line becomes, without starting anything:

    python render_config.py -- serve MODEL [flags]

Several models behind one endpoint, each a command line of its own in a file (docs/models.md):

    vllm serve --shim-models FILE... [flags that they have in common]

"""


def usage() -> str:
    vllm, sglang = catalogs()
    lines = [HEAD.format(vllm=vllm.version, sglang=sglang.version)]
    for area in AREAS:
        title = (area.__doc__ or "").strip().split("\n\n")[0].splitlines()[0]
        lines.append(f"{title}\n")
        for flag in area.FLAGS:
            known = vllm.by_spelling[flag.name]
            names = ", ".join((*known.aliases, flag.name, *known.negations[:1]))
            what = f"-> {flag.to}" if flag.to else "" if flag.action in ("convert", "ours") else flag.action
            lines.append(f"  {names:<62} {what}".rstrip() + (f"  ({flag.why})" if flag.why else "") + "\n")
        lines.append("\n")
    return "".join(lines)
