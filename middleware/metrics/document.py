"""docs/metrics.md, from the table of series and from what of SGLang's is left out.
Called by `shims.document`, which writes all documents that are made from tables.
"""

from collections.abc import Iterable, Iterator

from middleware.metrics.record import OWN, How, Row, Series, Term
from middleware.metrics.sglang import SAID_ALREADY, SAYS_NOTHING
from middleware.metrics.table import ABSENT, AREAS, TABLE
from middleware.mux.families import FAMILIES, PREFIX

HEAD = """# Every series of /metrics, and where it comes from

Made from the tables in `middleware/metrics/table/` by `make docs`. Names, types, labels and, but where it says so,
bounds are those of vLLM {vllm}; what only older versions had is there as well, because dashboards, autoscalers and
routers still read it. SGLang {sglang}'s own series stand behind them under their own names.

- **Labels.** Every series has `model_name`, the first served name, and `engine`, the data parallel rank, unless its row
  says which it has instead. Of ranks that tell the same (tensor, pipeline and expert parallel) one counts; streams and
  priorities are summed, and priorities in SGLang's own series too (`priority=""`), because clients choose them. What
  SGLang's tokenizer tells - requests, tokens, latencies - is that of all ranks together and stands under `engine="0"`.
- **Counters** begin with 0 when the middleware starts. What SGLang counts while it warms up is not counted, and when it
  is started again they go on where they were. Each has its `_created`, as in vLLM.
- **While the engine loads, hangs or is gone** the page is there at once, with 200. Counters stay. SGLang's gauges -
  what runs, what waits, how full the cache is - are left out, so that nothing takes the pod for an idle one;
  `vllm_shim:engine_ready` and `vllm_shim:engine_metrics_fresh` say it.
- **Freshness.** The page is made of what SGLang tells at that moment, or has told less than half a second ago; scrapes
  at the same time ask it once, and none waits for it for more than 2 s. Where it takes longer, what it told last is
  shown, of the age that `vllm_shim:engine_metrics_age_seconds` says, and its gauges for 15 s. It refreshes its gauges
  with each prefill, every 10 steps of decoding (`--decode-log-interval`) and when it becomes idle, and counts prompts,
  tokens and latencies of a request when that is done; vLLM does so with each step.
- **/metrics** needs no key.

In a source, `{{label=value}}` chooses samples, and what is chosen is summed.
"""
SEVERAL = """Where several models take turns, each one's series stand there once it has been awake, with its first name
as `model_name`. The switcher's own, of every model and from the first second, have `model_name` and no `engine`:
"""
REASONS_HEAD = "| series | reason |\n|---|---|\n"
OURS = "vllm_shim:"
TABLE_HEAD = "| series | type | unit | labels | from | remarks |\n|---|---|---|---|---|---|\n"


def page(vllm: str, sglang: str) -> str:
    return "".join(_parts(vllm, sglang))


def _parts(vllm: str, sglang: str) -> Iterator[str]:
    yield HEAD.format(vllm=vllm, sglang=sglang)
    for title, area in AREAS.items():
        yield f"\n## {title}\n\n{TABLE_HEAD}"
        yield from (_line(series) for series in area if series.how is not How.ABSENT)
    yield f"\n## Of several models\n\n{SEVERAL}\n| series | type | labels | what |\n|---|---|---|---|\n"
    for one in FAMILIES:
        yield f"| `{PREFIX}{one.name}` | {one.kind} | {f'`{one.label}`' if one.label else ''} | {cell(one.text)} |\n"
    yield f"\n## Not there\n\nOf vLLM's, and why. Nothing is told as 0 that nobody counts.\n\n{REASONS_HEAD}"
    for series in TABLE:
        if series.how is How.ABSENT:
            yield f"| `{series.name}` | {cell(_joined(series.why, _versions(series)))} |\n"
    yield from (f"| `{start}*` | {cell(why)} |\n" for start, why in ABSENT.items())
    yield f"\n## Of SGLang's own\n\nAll are passed on under their own names, but for these.\n\n{REASONS_HEAD}"
    for name in sorted(SAID_ALREADY):
        told = [series.name for series in TABLE if any(_of(term, name) for term in _terms(series.rows))]
        yield f"| `{name}` | {', '.join(f'`{one}`' for one in dict.fromkeys(told))} |\n"
    yield from (f"| `{start}*` | {cell(why)} |\n" for start, why in SAYS_NOTHING.items())


def _line(series: Series) -> str:
    cells = [f"`{series.name}`", series.kind.value, series.unit, _labels(series), _source(series)]
    # What vLLM has not is told in full.
    remarks = _joined(series.help if series.name.startswith(OURS) else "", series.why, _versions(series))
    return f"| {' | '.join(map(cell, cells))} | {cell(remarks)} |\n"


def _labels(series: Series) -> str:
    """Those that not every series has, and how many of the usual ones where it has not both."""
    names = [name for row in series.rows for name, _ in row.labels if name != "le"]
    names += series.label_names
    usual = [] if series.own == OWN else [f"of the usual ones {', '.join(series.own) or 'none'}"]
    return _joined(", ".join(f"`{name}`" for name in dict.fromkeys(names)), *usual)


def _source(series: Series) -> str:
    if series.how is How.CONSTANT:
        return "always 0"
    if not series.rows:
        return str(series.how.value)
    by_labels: dict[str, str] = {}
    for row in series.rows:
        label = ", ".join(value for name, value in row.labels if name != "le")
        sources = _formula(row)
        if row.suffix:
            # A histogram's three rows have one source, unless they are computed apart.
            label, sources = (row.suffix, sources) if row.together else ("", sources.replace(row.suffix, ""))
        by_labels[label] = sources
    return "; ".join(f"{label}: {formula}" if label else formula for label, formula in by_labels.items())


def _formula(row: Row) -> str:
    if not row.terms:
        return "0"
    text = ""
    for term in row.terms:
        sign = "- " if term.weight < 0 else "+ "
        text += f"{sign if text or term.weight < 0 else ''}{_named(term)} "
    if not row.times:
        return text.strip()
    return f"{text.strip()} times " + (f"(`{row.times}` - {row.less:g})" if row.less else f"`{row.times}`")


def _named(term: Term) -> str:
    where = ",".join(f"{name}={value}" for name, value in term.where)
    return f"`{term.name}{{{where}}}`" if where else f"`{term.name}`"


def _terms(rows: Iterable[Row]) -> Iterator[Term]:
    for row in rows:
        yield from row.terms


def _of(term: Term, name: str) -> bool:
    return term.name in (name, f"{name}_bucket", f"{name}_sum", f"{name}_count")


def _versions(series: Series) -> str:
    return f"vLLM {series.versions}" if series.versions else ""


def _joined(*texts: str) -> str:
    return "; ".join(text for text in texts if text)


def cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
