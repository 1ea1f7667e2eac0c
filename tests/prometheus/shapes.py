"""The few shapes that the queries of dashboards and autoscalers have, as PromQL. `panels.py` names them; each takes a
series and the labels it is asked for, and gives one query a line of the panel.
"""

from __future__ import annotations

from collections.abc import Callable

Shape = Callable[[str, str], list[str]]

QUANTILES = ("0.99", "0.95", "0.9", "0.5")
# What Grafana puts in before it asks. The window is at least four scrapes; this one holds a whole test, so that it does
# not matter when in it the traffic was.
VARIABLES = {"$__rate_interval": "5m"}


def substituted(query: str, **variables: str) -> str:
    """`model_name="m"` for $model_name: the dashboard's drop-down, which label_values(model_name) fills."""
    for name, value in {**VARIABLES, **{f"${name}": value for name, value in variables.items()}}.items():
        query = query.replace(name, value)
    assert "$" not in query, query
    return query


def value(series: str, labels: str) -> list[str]:
    return [f"{series}{labels}"]


def rate(series: str, labels: str) -> list[str]:
    return [f"rate({series}{labels}[$__rate_interval])"]


def rate_of_sum(series: str, labels: str) -> list[str]:
    return rate(f"{series}_sum", labels)


def rate_a_minute(series: str, labels: str) -> list[str]:
    return [f"rate({series}{labels}[1m])"]


def quantiles(series: str, labels: str) -> list[str]:
    window = f"rate({series}_bucket{labels}[$__rate_interval])"
    return [f"histogram_quantile({share}, sum by (le) ({window}))" for share in QUANTILES]


def mean(series: str, labels: str) -> list[str]:
    parts = (f"rate({series}_{part}{labels}[$__rate_interval])" for part in ("sum", "count"))
    return [" / ".join(parts)]


def quantiles_and_mean(series: str, labels: str) -> list[str]:
    return [*quantiles(series, labels), *mean(series, labels)]


def average_since_the_start(series: str, labels: str) -> list[str]:
    return [f"avg({series}_sum{labels}) / avg({series}_count{labels})"]


def mean_since_the_start(series: str, labels: str) -> list[str]:
    return [f"{series}_sum{labels} / {series}_count{labels}"]


def buckets(series: str, labels: str) -> list[str]:
    return [f"sum by (le) ({series}_bucket{labels})"]


def heat(series: str, labels: str) -> list[str]:
    return [f"sum by (le) (increase({series}_bucket{labels}[$__rate_interval]))"]


def by_reason(series: str, labels: str) -> list[str]:
    return [f"sum by (finished_reason) (increase({series}{labels}[$__rate_interval]))"]


def by_namespace(series: str, labels: str) -> list[str]:
    return [f"sum by (namespace) ({series}{labels})"]


def hits_to_queries(series: str, labels: str) -> list[str]:
    """The labels stand on the hits alone: both sides must have the same ones for a pair to be found."""
    return [f"{series}_hits_total{labels} / {series}_queries_total"]
