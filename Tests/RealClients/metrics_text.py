"""Reads what /metrics answers."""
import re

from harness import expect, fetch

SAMPLE = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$')
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"(?:,|$)')


def scrape(url, headers=None):
    """All samples of /metrics, as (name, labels, value)."""
    answer = fetch(url, "GET", "/metrics", headers=headers)
    expect(answer.status == 200, f"status {answer.status}")
    kind = answer.headers["Content-Type"]
    expect(kind.startswith("text/plain; version=0.0.4"), kind)
    samples = []
    for line in answer.body.decode().splitlines():
        if not line.startswith("#"):
            name, labels, value = SAMPLE.match(line).groups()
            samples.append((name, dict(LABEL.findall(labels or "")), float(value)))
    return samples


def total(samples, metric, **wanted):
    return sum(value for name, labels, value in samples
               if name == metric and all(labels.get(k) == v for k, v in wanted.items()))
