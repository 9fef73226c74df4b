"""Works that the methods section cites: numbered in the order of the text, as a list and as BibTeX."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Any

import yaml

__all__ = ["Citations", "bibtex", "reference_line", "references"]

Reference = dict[str, Any]
_MOST_AUTHORS = 6  # that a list of references names, as Vancouver style asks
_FIELDS = (
    "journal",
    "booktitle",
    "publisher",
    "address",
    "edition",
    "year",
    "volume",
    "number",
    "pages",
    "doi",
)


@cache
def references() -> dict[str, Reference]:
    """All works that can be cited, by key.

    Examples
    --------
    >>> references()["cox"]["year"]
    1972
    """
    text = resources.files("radiomics_npc.report").joinpath("references.yaml").read_text(encoding="utf-8")
    found: dict[str, Reference] = yaml.safe_load(text)
    return found


def reference_line(key: str) -> str:
    """A work as a list of references shows it (Vancouver style).

    Examples
    --------
    >>> reference_line("cox")  # doctest: +ELLIPSIS
    'Cox DR. Regression models and life-tables. J R Stat Soc Series B 1972;34(2):187-220. doi:10.1111/...'
    """
    work = references()[key]
    named = [name for name in work["authors"] if name != "others"]
    more = len(named) > _MOST_AUTHORS or len(named) < len(work["authors"])
    authors = ", ".join(named[:_MOST_AUTHORS] + (["et al"] if more else []))
    if "journal" in work:
        issue = f"({work['number']})" if "number" in work else ""
        where = f"{work['journal']} {work['year']};{work['volume']}{issue}:{work['pages']}."
    elif "booktitle" in work:
        where = f"In: {work['booktitle']}. {work['year']}:{work['pages']}."
    else:
        where = f"{work['edition']} ed. {work['address']}: {work['publisher']}; {work['year']}."
    doi = f" doi:{work['doi']}" if "doi" in work else ""
    return f"{authors}. {work['title']}. {where}{doi}"


def bibtex(keys: list[str]) -> str:
    """Works as BibTeX, in the order given.

    Examples
    --------
    >>> print(bibtex(["holm"]))
    @article{holm,
      author = {Holm, S.},
      title = {{A simple sequentially rejective multiple test procedure}},
      journal = {Scand J Stat},
      year = {1979},
      volume = {6},
      number = {2},
      pages = {65--70},
    }
    <BLANKLINE>
    """
    return "\n".join(_entry(key, references()[key]) for key in keys)


def _entry(key: str, work: Reference) -> str:
    kind = "article" if "journal" in work else "inproceedings" if "booktitle" in work else "book"
    lines = [f"  author = {{{' and '.join(map(_author, work['authors']))}}},"]
    # Braces keep capitals as they are.
    lines.append(f"  title = {{{{{work['title']}}}}},")
    for field in (name for name in _FIELDS if name in work):
        value = str(work[field])
        lines.append(
            f"  {field} = {{{value.replace('-', '--') if field in ('pages', 'number') else value}}},"
        )
    return "\n".join([f"@{kind}{{{key},", *lines, "}", ""])


def _author(name: str) -> str:
    """``van Griethuysen JJM`` as BibTeX reads it."""
    if name == "others":
        return name
    family, _, initials = name.rpartition(" ")
    return f"{family}, {' '.join(f'{letter}.' for letter in initials)}"


class Citations:
    """Numbers references in the order in which they are first cited.

    Examples
    --------
    >>> cite = Citations()
    >>> cite("cox"), cite("efron", "cox"), cite.keys
    ('[1]', '[2,1]', ['cox', 'efron'])
    """

    def __init__(self) -> None:
        self.keys: list[str] = []

    def __call__(self, *keys: str) -> str:
        """Numbers of some references in brackets, e.g. ``[1,2]``."""
        for key in keys:
            if key not in self.keys:
                if key not in references():
                    raise KeyError(key)
                self.keys.append(key)
        return "[" + ",".join(str(self.keys.index(key) + 1) for key in keys) + "]"

    def lines(self) -> list[str]:
        """The list of references."""
        return [f"{i}. {reference_line(key)}" for i, key in enumerate(self.keys, start=1)]
