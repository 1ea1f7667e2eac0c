"""The few shapes that the queries of dashboards and autoscalers have, as PromQL. `panels.py` names them; each takes a
series and the labels it is asked for, and gives one query a line of the panel.
"""

from __future__ import annotations

from collections.abc import Callable

Shape = Callable[[str, str], list[str]]

# What Grafana puts in before it asks. The window is at least four scrapes; this one holds a whole test, so that it does
# not matter when in it the traffic was.
VARIABLES = {"$__rate_interval": "5m"}


def substituted(query: str, **variables: str) -> str:
    """`model_name="m"` for $model_name: the dashboard's drop-down, which label_values(model_name) fills."""
    for name, value in {**VARIABLES, **{f"${name}": value for name, value in variables.items()}}.items():
        query = query.replace(name, value)
    assert "$" not in query, query
    return query


def asking(*queries: str) -> Shape:
    return lambda series, labels: [query.format(series=series, labels=labels) for query in queries]


_QUANTILES = [
    f"histogram_quantile({share}, sum by (le) (rate({{series}}_bucket{{labels}}[$__rate_interval])))"
    for share in ("0.99", "0.95", "0.9", "0.5")
]
_MEAN = "rate({series}_sum{labels}[$__rate_interval]) / rate({series}_count{labels}[$__rate_interval])"

value = asking("{series}{labels}")
rate = asking("rate({series}{labels}[$__rate_interval])")
rate_of_sum = asking("rate({series}_sum{labels}[$__rate_interval])")
rate_a_minute = asking("rate({series}{labels}[1m])")
quantiles_and_mean = asking(*_QUANTILES, _MEAN)
average_since_the_start = asking("avg({series}_sum{labels}) / avg({series}_count{labels})")
mean_since_the_start = asking("{series}_sum{labels} / {series}_count{labels}")
buckets = asking("sum by (le) ({series}_bucket{labels})")
heat = asking("sum by (le) (increase({series}_bucket{labels}[$__rate_interval]))")
by_reason = asking("sum by (finished_reason) (increase({series}{labels}[$__rate_interval]))")
by_namespace = asking("sum by (namespace) ({series}{labels})")
# The labels stand on the hits alone: both sides must have the same ones for a pair to be found.
hits_to_queries = asking("{series}_hits_total{labels} / {series}_queries_total")
