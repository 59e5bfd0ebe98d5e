"""What the files under deploy/ say, read the way the programs that use them read it."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry
from pydantic import BaseModel, SecretStr

from ifrud.observe.metrics import Metrics
from ifrud.settings import Settings, load_settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
CHART = DEPLOY / "helm" / "ifrud"
DASHBOARD = DEPLOY / "grafana" / "dashboards" / "ifrud.json"
ALERTS = DEPLOY / "prometheus" / "alerts.yml"

_VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")
_NOT_NAMES = re.compile(
    r'"[^"]*"'  # texts
    r"|\{[^}]*\}|\[[^\]]*\]"  # label matchers and ranges
    r"|\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)"  # lists of labels
    r"|\boffset\s+-?\w+"
)
_NAME = re.compile(r"(?<![\w.])[a-zA-Z_:][\w:]*(?!\w*\s*\()")
_SERIES: dict[str, dict[str, set[str]]] = {
    "counter": {"_total": set()},
    "gauge": {"": set()},
    "histogram": {"_bucket": {"le"}, "_sum": set(), "_count": set()},
}
_WORDS = {"and", "or", "unless", "bool", "by", "on", "offset"}
# What Prometheus says of every target, and what its client libraries say of every process.
_OF_ANY_PROCESS = ("up", "process_start_time_seconds", "process_cpu_seconds_total", "process_resident_memory_bytes")


def read_yaml(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def compose() -> dict[str, Any]:
    """The compose file, with the defaults of its variables."""
    text = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
    loaded: dict[str, Any] = yaml.safe_load(_VARIABLE.sub(lambda match: match[2] or "", text))
    return loaded


def dashboard() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    return loaded


def queries() -> Iterator[tuple[str, str]]:
    """Title of a panel and one of its expressions."""
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"]


def alerts() -> list[dict[str, Any]]:
    return [rule for group in read_yaml(ALERTS)["groups"] for rule in group["rules"]]


def metric_names(expression: str) -> set[str]:
    """Metrics that a PromQL expression asks for."""
    return set(_NAME.findall(_NOT_NAMES.sub(" ", expression))) - _WORDS


def exposed() -> dict[str, set[str]]:
    """Every series name that a daemon exposes, and its labels."""
    names: dict[str, set[str]] = {name: set() for name in _OF_ANY_PROCESS}
    for metric in Metrics(CollectorRegistry()).by_name.values():
        [family] = metric.describe()
        for suffix, labels in _SERIES[family.type].items():
            names[family.name + suffix] = labels | set(metric._labelnames)
    return names


def settings_in(file: Path) -> Settings:
    """Settings of a YAML file. Raises InvalidSettings."""
    return load_settings(Settings, file, {})


def setting_names(model: type[BaseModel], secrets: bool, start: str = "") -> Iterator[str]:
    """Dotted names of all settings; those that hold secrets only where they are asked for."""
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from setting_names(inner, secrets, f"{start}{name}.")
        elif secrets or SecretStr not in (inner, *getattr(inner, "__args__", ())):
            yield f"{start}{name}"


def program(name: str, variable: str) -> str:
    """Where a program is: in an environment variable, or on the path. Skips the test where it is neither."""
    found = os.environ.get(variable) or shutil.which(name)
    if not found:
        pytest.skip(f"{name} is neither on the PATH nor named by {variable}")
    return found
