"""Writes the panels' PromQL as a file of rules, for promtool to judge its grammar: python3 expressions.py >rules.yml.

JSON is YAML, so nothing is quoted by hand. What Grafana puts in is put in here: its interval, and every variable.
"""
import json
import pathlib
import re
import sys

DASHBOARDS = pathlib.Path(__file__).parent / "dashboards"


def filled(expression):
    """As Grafana sends it: `$__rate_interval` is a duration, any other variable a pattern."""
    return re.sub(r"\$\w+", ".+", expression.replace("$__rate_interval", "1m"))


def rules():
    """A rule for each question, named after its place, so that promtool's complaint says where to look."""
    for path in sorted(DASHBOARDS.glob("*.json")):
        for panel in json.loads(path.read_text())["panels"]:
            for target in panel.get("targets", []):
                if "expr" in target:
                    place = f"{path.stem}:{panel['id']}:{target['refId']}"
                    yield {"record": place, "labels": {"panel": panel["title"]}, "expr": filled(target["expr"])}


json.dump({"groups": [{"name": "panels", "rules": list(rules())}]}, sys.stdout, indent=1)
