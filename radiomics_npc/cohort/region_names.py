"""What a region is called: names that mean the same target volume, found by spelling first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from radiomics_npc.cohort.tables import plain

__all__ = ["ALIASES", "find_name", "name_comparisons"]

#: Names of one target volume, reduced to letters and digits. GTVp and GTVn: AAPM TG-263 (Mayo et al.,
#: Int J Radiat Oncol Biol Phys 2018;100:1057) and the guideline for nasopharyngeal carcinoma (Lee et al.,
#: Radiother Oncol 2018;126:25). GTVnx and GTVnd: what Chinese centers and SegRap2023 write. Numbered
#: or sided volumes (GTVn1, GTVnd_L) are others: merge them by name.
ALIASES: Final[dict[str, frozenset[str]]] = {
    "GTVp": frozenset({
        "gtvp", "gtvprim", "gtvprimary", "gtvpri", "gtvt", "gtvnx", "gtvnp", "gtvnasopharynx", "gtvtumor",
        "gtvtumour", "primary", "primarytumor", "primarytumour", "tumorprimary", "tumourprimary",
        "neoplasmprimary", "primaryneoplasm", "原发灶", "鼻咽肿瘤", "鼻咽原发灶",
    }),
    "GTVn": frozenset({
        "gtvn", "gtvnd", "gtvln", "gtvnode", "gtvnodes", "gtvnodal", "gtvlymphnode", "gtvlymphnodes", "node",
        "nodes", "lymphnode", "lymphnodes", "nodaltumor", "nodaltumour", "metastaticlymphnode",
        "metastaticlymphnodes", "转移淋巴结", "淋巴结", "颈部淋巴结",
    }),
    "GTV": frozenset({
        "gtv", "gtvmass", "grosstumorvolume", "grosstumourvolume", "tumor", "tumour", "lesion", "mass",
        "neoplasm", "肿瘤", "病灶",
    }),
}  # fmt: skip


def name_comparisons(wanted: str) -> Iterator[Callable[[str], bool]]:
    """Ways in which a name may be the one wanted, the strictest first.

    Parameters
    ----------
    wanted : str

    Yields
    ------
    callable
        As it is written; without regard to case, spaces, ``-`` and ``_``; another name of the same target
        volume (:data:`ALIASES`).
    """
    yield lambda name: name == wanted
    short = plain(wanted)
    if short:
        yield lambda name: plain(name) == short
    alike = frozenset().union(*(names for names in ALIASES.values() if short in names))
    yield lambda name: plain(name) in alike


def find_name(names: Iterable[str], wanted: str) -> str | None:
    """Find the one name that means what is wanted; None where none does, or several do.

    Examples
    --------
    >>> find_name(["GTV_Prim", "GTVnd"], "gtvp"), find_name(["GTVnx", "GTVp"], "gtv-p")
    ('GTV_Prim', 'GTVp')
    >>> find_name(["GTVnx", "GTV_T"], "gtvp") is None
    True
    """
    known = list(dict.fromkeys(names))
    for same in name_comparisons(wanted):
        if there := [name for name in known if same(name)]:
            return there[0] if len(there) == 1 else None
    return None
