"""The picture of the load is drawn from whatever Prometheus has: lines, gaps, nothing."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET

from tests.prometheus.load_panels import PANELS, drawn

QUERIES = [line.query for panel in PANELS for line in panel.lines]
MOMENTS = [(1000.0, 1), (1010.0, 8), (1030.0, 0)]


def test_a_quantile_of_nothing_is_a_gap_and_not_a_line() -> None:
    points = [(1000.0 + at, 0.3) for at in range(30)]
    whole = {query: [points] for query in QUERIES}
    broken = {query: [[(at, math.nan if 1010 <= at < 1020 else value) for at, value in points]] for query in QUERIES}
    assert drawn(broken, MOMENTS, "").count("<polyline") == drawn(whole, MOMENTS, "").count("<polyline") + len(QUERIES)
    for picture in (drawn(broken, MOMENTS, "a & b"), drawn(whole, MOMENTS, "")):
        ET.fromstring(picture)
        assert "nan" not in picture


def test_what_nobody_knows_is_said() -> None:
    picture = drawn({query: [] for query in QUERIES}, MOMENTS, "")
    ET.fromstring(picture)
    assert picture.count("no data") == len(PANELS)
