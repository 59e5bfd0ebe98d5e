"""Pages of the documentation site that the code tells: settings, events and receipts, commands, the library."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import typer
from pydantic import BaseModel, SecretStr
from typer.cli import get_docs_for_click

import ifru
from ifru.cli import app as ifru_app
from ifru.requests import REQUEST_TYPES
from ifrud.cli import app as ifrud_app
from ifrud.schemas import documents
from ifrud.settings import PREFIX, Settings

ROOT = Path(__file__).parents[2]
_SETTING = re.compile(r"^\| `([\w.]+)` \|[^|]*\|([^|]*)\|$", re.MULTILINE)


def pages() -> dict[str, str]:
    """Path on the site -> its text."""
    return {
        "reference/settings.md": settings(),
        "reference/events.md": events(),
        "reference/commands.md": commands(),
        "reference/library.md": library(),
    }


def settings() -> str:
    """Every setting of `ifrud run`, from the model, with what the operations guide says of it."""
    told = {name: text.strip() for name, text in _SETTING.findall((ROOT / "docs" / "operations.md").read_text("utf-8"))}
    groups: dict[str, list[str]] = {}
    for name, schema in _settings(Settings, Settings.model_json_schema()):
        row = f"| `{name}` | {_cell(_allowed(schema))} | {_default(schema)} | {told[name]} |"
        groups.setdefault(name.partition(".")[0] if "." in name else "general", []).append(row)
    lines = [
        "# Settings",
        "",
        "From the strongest to the weakest: flags (`--set batch.max_requests=500`), environment",
        f"(`{PREFIX}BATCH__MAX_REQUESTS=500`), the YAML file, defaults. More is in",
        "[Operations](../docs/operations.md#settings).",
    ]
    groups["general"].sort(key=lambda row: "| must be set |" not in row)
    for group in sorted(groups, key=lambda each: each != "general"):
        lines += ["", f"## {group}", "", "| setting | allowed | default | |", "| --- | --- | --- | --- |"]
        lines += groups[group]
    return "\n".join([*lines, ""])


def _settings(model: type[BaseModel], schema: dict[str, Any], start: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Dotted name -> its JSON schema."""
    for name, field in model.model_fields.items():
        inner = field.annotation
        found = schema["properties"][name]
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            group = inner.model_json_schema()
            yield from _settings(inner, group, f"{start}{name}.")
        else:
            required = {"default": "must be set"} if field.is_required() else {}
            secret = SecretStr in (inner, *get_args(inner))
            yield f"{start}{name}", {**found, **required, **({"secret": True} if secret else {})}


def _allowed(schema: dict[str, Any]) -> str:
    """What values a schema allows, in words."""
    if schema.get("secret"):
        return "text, a secret: not in the YAML file"
    if "anyOf" in schema:
        return " or ".join(_allowed(each) for each in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(f"`{each}`" for each in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    if "description" in schema:
        return str(schema["description"])
    bounds = {"exclusiveMinimum": "> {}", "minimum": "≥ {}", "exclusiveMaximum": "< {}", "maximum": "≤ {}"}
    said = [text.format(f"{schema[bound]:g}") for bound, text in bounds.items() if bound in schema]
    kind = {"integer": "whole number", "number": "number", "boolean": "true or false", "string": "text"}
    return " ".join([kind.get(schema.get("type", ""), schema.get("type", "")), ", ".join(said)]).strip()


def _default(schema: dict[str, Any]) -> str:
    default = schema["default"]
    return default if default == "must be set" else f"`{json.dumps(default)}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def events() -> str:
    """Requests, receipts and dead letters, from their schemas."""
    found = documents()
    lines = [
        "# Events and receipts",
        "",
        "What the daemon reads and sends. For programs, JSON Schema of documents and AsyncAPI of the streams lie in",
        "`deploy/schemas/`, and `ifrud schemas` prints them.",
        "",
    ]
    for title, name, rest in (
        ("Requests", "request", "$defs"),
        ("Requests as CloudEvents", "cloud-event", None),
        ("Receipts", "receipt", None),
        ("Dead letters", "dead-letter", None),
    ):
        document = found[f"{name}.schema.json"]
        lines += [f"## {title}", "", *_paragraphs(document["description"]), ""]
        kinds = {} if rest is None else document[rest].values()
        shown = {kind["properties"]["type"]["const"]: kind for kind in kinds if "type" in kind["properties"]}
        for kind in sorted(shown, key=REQUEST_TYPES.index):
            lines += [f"### {kind}", "", *_paragraphs(shown[kind]["description"]), "", *_fields(shown[kind]), ""]
        if not shown:
            lines += [*_fields(document), ""]
    return "\n".join([*lines, "## AsyncAPI", "", *_schema("asyncapi.json", found), ""])


def _schema(name: str, found: dict[str, Any]) -> list[str]:
    return ["```json", *json.dumps(found[name], indent=2, ensure_ascii=False).splitlines(), "```"]


def _paragraphs(text: str) -> list[str]:
    """A docstring, in which a line that explains a field starts a paragraph of its own."""
    return re.sub(r"\n(?=[a-z_, 0-9]+: )", "\n\n", text).splitlines()


def _fields(schema: dict[str, Any]) -> Iterator[str]:
    yield "| field | value | |"
    yield "| --- | --- | --- |"
    for name, field in schema["properties"].items():
        needed = "required" if name in schema.get("required", ()) else "optional"
        yield f"| `{name}` | {_cell(_value(field))} | {needed}. {_cell(field.get('description', ''))} |"


_OBJECTS = {
    "Named": "object with `id` and `source`",
    "Place": "object with `source`, `partition` and `offset`",
    "Header": "object with `name`, `value` and `value_base64`",
}


def _value(field: dict[str, Any]) -> str:
    if "anyOf" in field:
        return " or ".join(_value(each) for each in field["anyOf"])
    if "$ref" in field:
        return _OBJECTS[field["$ref"].rpartition("/")[2]]
    if "enum" in field or "const" in field:
        return ", ".join(f"`{each}`" for each in field.get("enum", [field.get("const")]))
    if field.get("type") == "array":
        return f"list of {_value(field['items'])}"
    return {"date-time": "time", "uuid": "UUID"}.get(field.get("format", ""), field.get("type", "anything"))


def commands() -> str:
    """The commands `ifru` and `ifrud`, from their help."""
    lines = ["# Commands", ""]
    for name, app in (("ifru", ifru_app), ("ifrud", ifrud_app)):
        command = typer.main.get_command(app)
        context = typer.Context(command, info_name=name)
        text = get_docs_for_click(obj=command, ctx=context, name=name)
        lines += [re.sub(r"^#", "##", text, flags=re.MULTILINE), ""]
    return "\n".join(lines)


def library() -> str:
    """What `ifru` offers to programs, from docstrings."""
    lines = ["# Library", "", "What a program needs is imported from `ifru`.", "", "| for | |", "| --- | --- |"]
    told = (ifru.__doc__ or "").partition("\n\nTrain a model")[0]
    for part, text in re.findall(r"^    (\w+) +(.*(?:\n {12,}.*)*)", told, re.MULTILINE):
        lines.append(f"| {part} | {' '.join(text.split())} |")
    return "\n".join([*lines, "", *(f"::: ifru.{name}\n" for name in ifru.__all__)])
