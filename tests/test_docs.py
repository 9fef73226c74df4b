"""The documentation says what there is: every setting, command and link; and its examples run."""

import contextlib
import importlib.util
import io
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from radiomics_npc import cli
from radiomics_npc.settings import StudySettings
from radiomics_npc.storage import read_table

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(p for p in DOCS.rglob("*.md") if not {"_build", "api"} & set(p.relative_to(DOCS).parts))
FENCE = re.compile(r"^```(?P<info>[^\n]*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")
RUN = [page for page in PAGES if ":class: runs" in page.read_text(encoding="utf-8")]


@dataclass(frozen=True)
class Block:
    """A fenced part of a page: its language, what the page says of it, and its text."""

    language: str
    kind: str
    body: str


def blocks(page: Path) -> list[Block]:
    found = []
    for match in FENCE.finditer(page.read_text(encoding="utf-8")):
        language = match["info"].removeprefix("{code-block}").strip()
        options = re.match(r"(?::(?P<name>\w+): (?P<value>\w+)\n)?\n?", match["body"])
        kind = options["value"] if options and options["name"] == "class" else ""
        body = match["body"][options.end() :] if options and kind else match["body"]
        found.append(Block(language, kind, body))
    return found


@pytest.fixture(scope="module")
def reference():
    """The module that makes the pages of the reference."""
    spec = importlib.util.spec_from_file_location("reference_pages", DOCS / "reference_pages.py")
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def made(reference, tmp_path_factory) -> Path:
    """The pages of the reference."""
    folder = tmp_path_factory.mktemp("docs") / "api"
    reference.write_pages(folder)
    return folder


def keys_of(model, prefix=""):
    """Paths of all settings, found without the code that makes the page."""
    for name, field in model.model_fields.items():
        yield prefix + name
        parts = [field.annotation]
        for part in parts:
            parts.extend(getattr(part, "__args__", ()))
        inner = next((part for part in parts if hasattr(part, "model_fields")), None)
        if inner is not None:
            many = any("dict" in str(part) for part in parts if not isinstance(part, type))
            chosen = ("DATE." if name == "confirmed_by" else "NAME.") if many else ""
            yield from keys_of(inner, f"{prefix}{name}.{chosen}")


def test_every_setting_is_in_the_reference_with_words(made, reference):
    page = (made / "study_yaml.md").read_text(encoding="utf-8")
    keys = list(keys_of(StudySettings))
    assert "cohort.outcome.endpoints.NAME.competing" in keys
    for key in keys:
        entry = re.search(rf"^`{re.escape(key)}`\n: [^\n]+\n\n  \S", page, re.MULTILINE)
        assert entry, f"{key} is not explained in configs/study.yaml"
    said = reference.setting_words((ROOT / "configs" / "study.yaml").read_text(encoding="utf-8"))
    assert set(said) <= set(keys)


def test_words_of_a_setting_come_from_the_study_file(reference):
    text = "cohort:   # who\n  path: data  # where\n  # outcome: x\nmodels:\n    # by: center\n"
    assert reference.setting_words(text) == {
        "cohort": "who", "cohort.path": "where", "cohort.outcome": "", "models": "",
    }  # fmt: skip
    longer = "cohort:  # who\n         # is in\n  # of nobody\n         # neither\n"
    assert reference.setting_words(longer) == {"cohort": "who is in"}


def options_of(command: str, capsys) -> set[str]:
    """Options of a command, as its help shows them."""
    with pytest.raises(SystemExit):
        cli.main([*command.split(), "--help"])
    return set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", capsys.readouterr().out)) - {"--help"}


def names_of(app, before="") -> list[str]:
    """Commands as they are typed, found without the code that makes the page."""
    own = [before + (c.name or c.callback.__name__) for c in app.registered_commands]
    groups = [
        names_of(g.typer_instance, before + (f"{g.name} " if isinstance(g.name, str) else ""))
        for g in app.registered_groups
    ]
    return own + [name for group in groups for name in group]


COMMANDS = names_of(cli.app)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_and_option_has_an_entry(command, made, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    page = (made / "command_line.md").read_text(encoding="utf-8")
    section = page.partition(f"\n## {command}\n")[2].partition("\n## ")[0]
    said = {word for form in re.findall(r"^`(.*)`$", section, re.M) for word in re.split(r"[ ,]+", form)}
    options = options_of(command, capsys)
    assert section
    assert options == {word for word in said if word.startswith("--")}


def test_commands_in_the_pages_exist(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    lines = [
        line
        for page in PAGES
        for block in blocks(page)
        if block.language == "console"
        for line in block.body.splitlines()
        if line.startswith("$ radiomics-npc ") and "--version" not in line
    ]
    assert len(lines) > 10
    for line in lines:
        words = line.removeprefix("$ radiomics-npc ").split()
        command = " ".join(words[: 2 if words[0] == "dataset" else 1])
        assert command in COMMANDS, line
        assert {word for word in words if word.startswith("--")} <= options_of(command, capsys), line


def test_the_model_file_page_has_every_part_it_links_to(made):
    page = (made / "model_file.md").read_text(encoding="utf-8")
    headings = {line.removeprefix("## ").casefold() for line in page.splitlines() if line.startswith("## ")}
    links = set(re.findall(r"\]\(#([^)]+)\)", page))
    assert len(links) > 20
    assert links <= headings


def test_every_flag_of_a_predicted_mask_is_explained():
    from radiomics_npc.segmentation.quality import FLAGS

    page = (DOCS / "stages" / "contours.md").read_text(encoding="utf-8")
    assert not [code for code in FLAGS if f"| `{code}` |" not in page]


def test_every_public_name_is_in_the_python_reference(made):
    import radiomics_npc

    listed = (made / "python.rst").read_text(encoding="utf-8").split()
    assert {name for name in radiomics_npc.__all__ if name != "__version__"} <= set(listed)


def anchor(heading: str) -> str:
    """As MyST makes it: of a heading's words."""
    return re.sub(r"[^\w\- ]", "", heading.strip().casefold().replace(".", "-")).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(DOCS).as_posix())
def test_links_lead_somewhere(page, made):
    for target in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        if target.startswith(("http", "#")):
            continue
        name, _, wanted = target.partition("#")
        path = (page.parent / name).resolve()
        if path.is_relative_to(DOCS / "api"):
            path = made / path.name
        assert path.is_file(), f"{page.name} links to {target}"
        if wanted:
            headings = [anchor(h) for h in re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.M)]
            assert wanted in headings, f"{page.name} links to {target}"


def test_every_page_is_in_the_contents():
    listed = {
        (page.parent / line.strip()).resolve().relative_to(DOCS).as_posix()
        for page in PAGES
        for block in blocks(page)
        if block.language == "{toctree}"
        for line in block.body.splitlines()
        if re.fullmatch(r"[\w/]+", line.strip())
    }
    pages = {page.relative_to(DOCS).with_suffix("").as_posix() for page in PAGES}
    assert pages - {"index", "model_file_words"} <= listed
    assert {name for name in listed if not name.startswith("api/")} <= pages


def test_parts_of_other_files_are_still_there():
    for page in PAGES:
        for block in blocks(page):
            if not block.language.startswith("{include}"):
                continue
            file = page.parent / block.language.removeprefix("{include}").strip()
            text = file.read_text(encoding="utf-8")
            marks = re.findall(r':(?:start-after|end-before): "([^"]+)"', block.body)
            places = [text.find(mark) for mark in marks]
            assert -1 not in places, f"{page.name} includes a part of {file.name} that is not there"
            assert places == sorted(places)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(DOCS).as_posix())
def test_python_compiles_and_yaml_is_read(page):
    import yaml

    for block in blocks(page):
        if block.language == "python":
            compile(block.body, page.name, "exec")
        elif block.language == "yaml":
            assert isinstance(yaml.safe_load(block.body), dict)


def run_page(page: Path, folder: Path, monkeypatch) -> None:
    """Run the blocks that are marked to run, and compare what they print with the page."""
    monkeypatch.chdir(folder)
    for name in ("tests", "configs"):
        (folder / name).symlink_to(ROOT / name)
    space: dict[str, object] = {"__name__": "page"}
    printed = ""
    for block in blocks(page):
        if block.kind == "runs":
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                exec(compile(block.body, page.name, "exec"), space)
            printed = out.getvalue()
        elif block.kind == "printed":
            assert printed.rstrip() == block.body.rstrip()


@pytest.mark.slow
@pytest.mark.parametrize("page", RUN, ids=lambda p: p.stem)
def test_guides_run_and_print_what_they_say(page, tmp_path, monkeypatch):
    assert sum(block.kind == "runs" for block in blocks(page))
    run_page(page, tmp_path, monkeypatch)
    if page.stem == "external_validation":
        tables_are_as_described(tmp_path)


def tables_are_as_described(folder: Path) -> None:
    """Every table of the study in the guide is in the page of the run folder, with its columns."""
    page = (DOCS / "run_folder.md").read_text(encoding="utf-8")
    described = {}
    for name, cells in re.findall(r"^\| `tables/(\S+)\.csv` \| (.*) \|$", page, re.MULTILINE):
        described[name] = re.findall(r"`([^`]+)`", re.sub(r"\([^)]*\)", "", cells))
    only_words = {"features", "diagnostics", "design_matrix", "complete_cases"}
    checked = 0
    for path in sorted(
        [*folder.glob("run_ours/tables/*.csv"), *folder.glob("run_theirs/tables/validation*")]
    ):
        name = re.sub(r"(clinical|radiomics|combined)_(cox|boosted|forest)$", "NAME", path.stem)
        assert name in described, f"{name}.csv is not in docs/run_folder.md"
        if name not in only_words:
            assert [c for c in read_table(path).columns if c != "simulated"] == described[name], name
            checked += 1
    assert checked >= 15
