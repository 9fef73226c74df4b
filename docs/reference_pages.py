"""Pages of the reference that are made from the code: settings, commands, model file, names of the package.

Everything is written to ``docs/api`` when the site is built. The words on each key of a
study have their one home in the comments of ``configs/study.yaml``.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from typer import Typer
from typer.models import ArgumentInfo

import radiomics_npc
from radiomics_npc import cli
from radiomics_npc.cli import app
from radiomics_npc.settings import StudySettings

HERE = Path(__file__).resolve().parent
CONFIGS = HERE.parent / "configs"
_KEY = re.compile(r"(?P<indent> *)(?:# )?(?P<key>[a-z_]+):(?P<value>(?: [^#]*)?)(?:# (?P<words>.*))?$")
#: Keys that stand once for each name that a study chooses, which the file shows by example.
_CHOSEN = {
    "cohort.clinical.extra.NAME.column": "the column of the table, as it is headed there",
    "cohort.clinical.extra.NAME.kind": "number, or factor (categories)",
    "cohort.outcome.confirmed_by.DATE.column": "the column beside the date",
    "cohort.outcome.confirmed_by.DATE.coding": "which of its words are an event (1) and which are not (0)",
    "cohort.outcome.endpoints.NAME.name": "how the report calls it; by default its key",
    "cohort.outcome.endpoints.NAME.time": "its column of time; it needs `event`, too",
    "cohort.outcome.endpoints.NAME.unit": "days, months or years; by default that of the outcome",
    "cohort.outcome.endpoints.NAME.event": "its column of events",
    "cohort.outcome.endpoints.NAME.coding": "as that of the outcome, and 2 for a competing event",
    "cohort.outcome.endpoints.NAME.events": "date columns, in place of `time` and `event`: the first counts",
    "cohort.outcome.endpoints.NAME.competing": "date columns of events that make this one impossible",
}


# -- study.yaml ------------------------------------------------------------------------------


def setting_words(text: str) -> dict[str, str]:
    """What the comments of a study file say of each key, by its path (``cohort.outcome.time``).

    Keys that are commented out count as well, and lines below that go on where the
    words began. A comment that stands alone above a key and names none is not of that
    key alone, and left to the file.
    """
    found: dict[str, str] = {}
    above: list[tuple[int, str]] = []
    begun = -1
    for line in text.splitlines():
        match = _KEY.match(line)
        if match is None or not _is_key(match, above):
            if begun > 0 and line[:begun].isspace() and line[begun:].startswith("# "):
                found[next(reversed(found))] += f" {line[begun + 2 :].strip()}"
            else:
                begun = -1
            continue
        begun = match.start("words") - 2
        indent = len(match["indent"])
        above = [(depth, key) for depth, key in above if depth < indent] + [(indent, match["key"])]
        found[".".join(key for _, key in above)] = (match["words"] or "").strip()
    return found


def _is_key(match: re.Match[str], above: list[tuple[int, str]]) -> bool:
    """Whether the line is a key of the model and no example within a comment."""
    path = [key for depth, key in above if depth < len(match["indent"])] + [match["key"]]
    return ".".join(path) in {key for key, _ in setting_fields(StudySettings)}


def setting_fields(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Every key of a settings class and of those within it, by its path, in their order."""
    for name, field in model.model_fields.items():
        yield f"{prefix}{name}", field
        inner, many = _settings_within(field.annotation)
        if inner is not None:
            chosen = "" if not many else ("DATE." if name == "confirmed_by" else "NAME.")
            yield from setting_fields(inner, f"{prefix}{name}.{chosen}")


def _settings_within(annotation: Any) -> tuple[type[BaseModel] | None, bool]:
    """The settings class that a key holds, and whether it holds one for each name."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, False
    for part in get_args(annotation):
        inner, _ = _settings_within(part)
        if inner is not None:
            return inner, get_origin(annotation) is dict
    return None, False


def type_words(annotation: Any) -> str:
    """A type as a reader of YAML would say it."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return ", ".join(f"`{part}`" for part in parts)
    if origin is dict:
        return f"for each {type_words(parts[0])}: {type_words(parts[1])}"
    if origin is Annotated:
        return type_words(parts[0])
    if origin is list:
        return f"list of {type_words(parts[0])}"
    if parts and (origin is Union or "UnionType" in str(origin)):
        return " or ".join(type_words(part) for part in parts)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "the keys below"
    names = {str: "text", int: "whole number", float: "number", bool: "`true`, `false`", Path: "path",
             type(None): "`null`"}  # fmt: skip
    return names[annotation]


def default_words(field: FieldInfo) -> str:
    """The default as it would stand in the file."""
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, BaseModel):
        return ""
    if value is PydanticUndefined:
        return "required"
    if isinstance(value, list | tuple):
        return f"`[{', '.join(map(str, value))}]`"
    shown = value.as_posix() if isinstance(value, Path) else value
    return f"`{json.dumps(shown) if not isinstance(shown, str) else shown}`"


def _limits(field: FieldInfo) -> str:
    """Smallest and largest value, where there are."""
    signs = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
    found = [f"{signs[name]} {getattr(part, name):g}" for part in field.metadata for name in signs
             if getattr(part, name, None) is not None]  # fmt: skip
    return f" ({', '.join(found)})" if found else ""


def settings_page() -> str:
    """``study.yaml``, key by key."""
    text = (CONFIGS / "study.yaml").read_text(encoding="utf-8")
    words = setting_words(text) | _CHOSEN
    lines = [
        "# study.yaml", "",
        "One file says all of a study. An unknown key is an error that names the nearest one. Relative paths",
        "start from the folder of the file. Where a part is `null`, that stage is left out.", "",
        "A key in CAPITALS stands for a name of your choice, such as `endpoints.OS.event`. The file at",
        "[the end of this page](#the-file) has every key with its default; copy it to begin with.", "",
    ]  # fmt: skip
    sections: dict[str, list[tuple[str, FieldInfo]]] = {}
    for key, field in setting_fields(StudySettings):
        sections.setdefault(key.rpartition(".")[0], []).append((key, field))
    for section, fields in sections.items():
        lines += _section(section)
        for key, field in fields:
            lines += _setting(key, field, words.get(key, ""))
    return "\n".join([*lines, "## The file", "", "```yaml", text.rstrip(), "```", ""])


def _setting(key: str, field: FieldInfo, words: str) -> list[str]:
    """One entry of the reference: key, type, default, what it does."""
    default = default_words(field)
    default = f"default {default}" if default.startswith("`") else default
    kind = type_words(field.annotation) + _limits(field)
    says = [f": {'; '.join(part for part in (kind, default) if part)}", ""]
    words = words.rstrip(" .")
    first = words.split()[0].rstrip(",:") if words else ""
    if first.isalpha() and first not in ("null", *get_args(field.annotation)):  # no value and no file
        words = words[0].upper() + words[1:]
    return [f"`{key}`", *says, *([f"  {words}.", ""] if words else [])]


def _section(path: str) -> list[str]:
    """A heading with what the class of these settings says of itself."""
    if not path:
        return ["## The study", ""]
    model: Any = StudySettings
    for name in path.split("."):
        if name not in ("NAME", "DATE"):
            model = _settings_within(model.model_fields[name].annotation)[0]
    return [f"## {path}", "", (model.__doc__ or "").strip(), ""]


# -- command line ----------------------------------------------------------------------------


def commands(group: Typer = app, before: str = "") -> Iterator[tuple[str, Callable[..., Any]]]:
    """Every command as it is typed, with the function behind it; those of a group after the others."""
    for command in group.registered_commands:
        assert command.callback is not None
        yield before + (command.name or command.callback.__name__.replace("_", "-")), command.callback
    for inner in group.registered_groups:
        assert inner.typer_instance is not None
        # a group without a name only keeps commands in another module
        yield from commands(inner.typer_instance, before + (f"{inner.name} " if _named(inner) else ""))


def _named(group: Any) -> bool:
    return isinstance(group.name, str)


def commands_page() -> str:
    """Every command with its arguments and options."""
    codes = (cli.__doc__ or "").partition("Exit codes: ")[2].strip().rstrip(".")
    lines = [
        "# Command line", "", "```console", "$ radiomics-npc COMMAND ...", "```", "",
        "`python -m radiomics_npc` is the same. `radiomics-npc --version` shows the version, `--help`",
        "behind any command its options. No command but `dataset download` uses the network.", "",
        "## Exit codes", "",
        *(f"- {' '.join(code.split())}" for code in codes.split(";")),
    ]  # fmt: skip
    for name, callback in commands():
        given = list(_parameters(callback))
        usage = " ".join(
            ["$ radiomics-npc", name, *(form for form, needed, *_ in given if needed is not None)]
        )
        help_ = " ".join(inspect.cleandoc(callback.__doc__ or "").split())
        lines += ["", f"## {name}", "", help_, "", "```console", usage, "```", ""]
        for form, _, words, default in given:
            lines += [f"`{form}`", f": {' '.join(part for part in (words, default) if part)}", ""]
    return "\n".join(lines) + "\n"


def _parameters(callback: Any) -> Iterator[tuple[str, bool | None, str, str]]:
    """Form, whether it must be given (None: an option), words and default of each parameter."""
    for name, parameter in inspect.signature(callback, eval_str=True).parameters.items():
        kind, info = get_args(parameter.annotation)
        default = parameter.default
        if isinstance(info, ArgumentInfo):
            needed = default is inspect.Parameter.empty
            shown = info.metavar or name.upper()
            form = shown if needed else f"[{shown}]"
        else:
            needed = None
            # behind Annotated, typer takes the first name of an option for its default
            stated = [d for d in (info.default, *(info.param_decls or ())) if str(d).startswith("--")]
            plain = name.replace("_", "-")
            form = ", ".join(stated) or (f"--{plain} / --no-{plain}" if kind is bool else f"--{plain}")
            form += "" if kind is bool else f" {_placeholder(kind)}"
        absent = default in (None, inspect.Parameter.empty) or (kind is bool and not default)
        yield form, needed, info.help or "", "" if absent else f"By default {_plain(default)}."


def _placeholder(kind: Any) -> str:
    """What stands behind an option: NUMBER, PATH, TEXT, or the words to choose from."""
    if get_origin(kind) in (Union, UnionType):
        kind = next(part for part in get_args(kind) if part is not type(None))
    if get_origin(kind) is tuple:
        return " ".join(map(_placeholder, get_args(kind)))
    inner = get_args(kind)[0] if get_origin(kind) is list else kind
    if issubclass(inner, Enum):
        return "|".join(str(member.value) for member in inner)
    return "PATH" if inner is Path else "TEXT" if inner is str else "NUMBER"


def _plain(default: Any) -> str:
    return {True: "yes", False: "no"}[default] if isinstance(default, bool) else f"`{default}`"


# -- the model file --------------------------------------------------------------------------


def model_file_page() -> str:
    """The entries of a model file, from its published schema."""
    schema = json.loads((CONFIGS / "model.schema.json").read_text(encoding="utf-8"))
    words = (HERE / "model_file_words.md").read_text(encoding="utf-8")
    lines = [words.rstrip(), "", "## Kinds of model files", ""]
    kinds = schema["discriminator"]["mapping"]
    parts = schema["$defs"]
    for kind, reference in kinds.items():
        part = parts[reference.rpartition("/")[2]]
        model = _model_of(part)
        lines += [f"- `{kind}`: {part['description'].rstrip('.')}; `model` is [{model}](#{_anchor(model)})"]
    first = parts[next(iter(kinds.values())).rpartition("/")[2]]
    lines += ["", "## The file", "", *_entries(first)]
    for name, part in sorted(parts.items()):
        if part.get("type") == "object" and not name.endswith("File"):
            lines += ["", f"## {name}", "", _description(part), "", *_entries(part)]
    return "\n".join(lines) + "\n"


def _model_of(part: dict[str, Any]) -> str:
    return str(part["properties"]["model"]["$ref"]).rpartition("/")[2]


def _anchor(name: str) -> str:
    return name.casefold()


def _description(part: dict[str, Any]) -> str:
    """The words of a part, with roles of Sphinx as plain code."""
    text = re.sub(r":\w+:`~?([^`]+)`", lambda m: f"`{m[1].rpartition('.')[2]}`", part.get("description", ""))
    return " ".join(text.replace("``", "`").split())


def _entries(part: dict[str, Any]) -> list[str]:
    needed = set(part.get("required", ()))
    rows = [f"| `{name}` | {_schema_type(kind)} | {'yes' if name in needed else 'no'} |"
            for name, kind in part.get("properties", {}).items()]  # fmt: skip
    return ["| entry | type | required |", "|---|---|---|", *rows] if rows else []


def _schema_type(kind: dict[str, Any]) -> str:
    """A JSON schema type in a few words."""
    if "$ref" in kind:
        name = kind["$ref"].rpartition("/")[2]
        return f"[{name}](#{_anchor(name)})" if name != "JsonValue" else "any JSON"
    if "const" in kind:
        return f"`{json.dumps(kind['const'])}`"
    if "enum" in kind:
        return ", ".join(f"`{json.dumps(value)}`" for value in kind["enum"])
    for word in ("anyOf", "oneOf"):
        if word in kind:
            return " or ".join(dict.fromkeys(_schema_type(part) for part in kind[word]))
    if kind.get("type") == "array":
        inner = kind.get("items") or {}
        fixed = kind.get("prefixItems")
        if fixed:
            return f"[{', '.join(_schema_type(part) for part in fixed)}]"
        return f"list of {_schema_type(inner)}"
    if kind.get("type") == "object":
        inner = kind.get("additionalProperties")
        return f"object of {_schema_type(inner)}" if isinstance(inner, dict) else "object"
    return str(kind.get("type", "any JSON"))


# -- the package -----------------------------------------------------------------------------

_ROOMS = {
    "study": "A whole study",
    "cohort": "Cohort and outcome",
    "imaging": "Images, masks and checks",
    "segmentation": "Contours",
    "features": "Features and stability",
    "survival.estimation": "Curves and tests",
    "survival.preprocessing": "Harmonization",
    "survival.selection": "Signature",
    "survival.models": "Models",
    "survival.metrics": "Performance",
    "survival.validation": "Validation",
    "nomogram": "Nomogram",
    "report": "Report",
    "dataset": "Data sets",
    "simulate": "Simulated patients",
}


def api_page(with_torch: bool = True) -> str:
    """Names of the package by stage, for autosummary."""
    title = "Python"
    lines = [title, "=" * len(title), "", "``import radiomics_npc as rn`` brings all of these.", ""]
    home = radiomics_npc._HOME
    left = set(home) if with_torch else set(home) - set(radiomics_npc._WITH_TORCH)
    for room, heading in _ROOMS.items():
        names = sorted(name for name in left if home[name] == room or home[name].startswith(f"{room}."))
        left -= set(names)
        lines += [heading, "-" * len(heading), "", ".. currentmodule:: radiomics_npc", "",
                  ".. autosummary::", "   :toctree: names", "   :nosignatures:", "",
                  *(f"   {name}" for name in names), ""]  # fmt: skip
    assert not left, f"rooms without a heading: {sorted(left)}"
    return "\n".join(lines)


def write_pages(folder: Path, *, with_torch: bool = True) -> None:
    """Write all of them; a page that has not changed is left alone, so that a second build is quick."""
    folder.mkdir(parents=True, exist_ok=True)
    pages = {
        "study_yaml.md": settings_page(),
        "command_line.md": commands_page(),
        "model_file.md": model_file_page(),
        "python.rst": api_page(with_torch),
    }
    for name, text in pages.items():
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
