"""Every work that can be cited is whole, and BibTeX names the works that the text numbers."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from radiomics_npc.report import references as module
from radiomics_npc.report.methods import methods_with_references
from radiomics_npc.report.references import Citations, bibtex, reference_line, references

REPORT = Path(module.__file__).parent


def cited_in_the_code() -> set[str]:
    """Keys that some line of the report may cite."""
    keys: set[str] = set()
    for path in REPORT.glob("*_methods.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "cite":
                keys |= {a.value for a in node.args if isinstance(a, ast.Constant)}
    source = (REPORT / "methods.py").read_text(encoding="utf-8")
    return keys | set(re.findall(r"cite\('(\w+)'\)", source))


def test_every_citation_in_the_code_has_a_reference_and_none_is_idle():
    assert cited_in_the_code() == set(references())


@pytest.mark.parametrize("key", sorted(references()))
def test_a_reference_is_whole(key):
    work = references()[key]
    assert work["authors"]
    assert work["title"]
    assert 1940 < work["year"] < 2030
    assert {"journal", "booktitle", "publisher"} & set(work)
    if "journal" in work:
        assert {"volume", "pages"} <= set(work)
    for name in work["authors"]:
        assert name == "others" or re.fullmatch(r"[\w' -]+ [A-Z]{1,4}", name), name
    if "doi" in work:
        assert re.match(r"10\.\d{4,}/\S+$", work["doi"])
    if "pages" in work and (pages := re.fullmatch(r"e?(\d+)-e?(\d+)", str(work["pages"]))):
        assert int(pages[1]) < int(pages[2])
    line = reference_line(key)
    assert line.startswith(work["authors"][0])
    assert str(work["year"]) in line


def test_bibtex_has_the_cited_works_alone_in_their_order(content):
    text, entries = methods_with_references(content)
    numbered = re.findall(r"^\d+\. (.*)$", text.split("## References")[1], re.M)
    keys = re.findall(r"^@\w+\{(\w+),$", entries, re.M)
    assert numbered == [reference_line(key) for key in keys]
    assert len(set(keys)) == len(keys) > 25
    for entry in entries.strip().split("\n\n"):
        assert entry.count("{") == entry.count("}")
        assert re.search(r"^  author = \{.+\},$", entry, re.M)


def test_authors_are_read_apart():
    entry = bibtex(["pyradiomics"])
    assert "van Griethuysen, J. J. M. and Fedorov, A." in entry
    assert "pages = {e104--e107}" in entry
    assert bibtex(["ibsi"]).count(" and others}") == 1
    assert "et al. The Image" in reference_line("ibsi")
    assert bibtex([]) == ""


def test_an_unknown_work_cannot_be_cited():
    with pytest.raises(KeyError):
        Citations()("nobody2099")
