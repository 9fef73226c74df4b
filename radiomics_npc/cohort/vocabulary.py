"""The words of a clinical table: usual column names, and how each value is read.

A reader of values returns the category, empty text where the value says
"not assessed", or None where the value is unknown: nothing is guessed.
"""

from __future__ import annotations

import re
from collections.abc import Callable

__all__ = ["ALIASES", "LEVELS", "NOT_GIVEN", "Reader", "read_binary", "read_sex", "read_stage", "reader_of"]

Reader = Callable[[str], str | None]

#: Usual names of each column, as :func:`radiomics_npc.cohort.tables.plain` reduces them.
#: A column "name" is never taken for the patient: it may hold one.
ALIASES: dict[str, tuple[str, ...]] = {
    "patient_id": (
        "patientid", "id", "patient", "patientno", "patientnumber", "pid", "case", "caseid", "caseno",
        "subject", "subjectid", "no", "number", "serialnumber", "编号", "序号",
    ),
    "age": ("age", "ageyears", "agey", "ageatdiagnosis", "patientage", "年龄"),
    "sex": ("sex", "gender", "patientsex", "性别"),
    "T": ("t", "tstage", "ct", "ctstage", "tcategory", "tclassification", "clinicalt", "ajcct", "t分期"),
    "N": ("n", "nstage", "cn", "cnstage", "ncategory", "nclassification", "clinicaln", "ajccn", "n分期"),
    "M": ("m", "mstage", "cm", "cmstage", "mcategory", "mclassification", "clinicalm", "ajccm", "m分期"),
    "stage": (
        "stage", "clinicalstage", "tnmstage", "overallstage", "stagegroup", "ajccstage", "uiccstage", "tnm",
        "clinicalstaging", "临床分期",
    ),
    "M1": ("m1", "m1subcategory", "m1category", "m1分期", "m1亚分期"),
    "metastatic_lesions": (
        "metastaticlesions", "nmetastaticlesions", "numberofmetastaticlesions", "metastaticlesionnumber",
        "metastaticlesioncount", "nmetastases", "numberofmetastases", "nummetastases", "metastasescount",
        "转移灶数", "转移灶数目", "转移灶个数", "转移病灶数", "转移病灶数目", "远处转移灶数",
        "远处转移灶数目",
    ),
    # advanced extranodal extension alone: a column "ENE" may count any grade of it
    "advanced_ene": (
        "advancedene", "advancedrene", "advancediene", "advancedextranodalextension", "rene3",
        "advancedradiologicextranodalextension", "advancedradiologicalextranodalextension", "grade3ene",
        "晚期结外侵犯", "高级别结外侵犯", "影像学晚期结外侵犯", "晚期影像学结外侵犯", "进展期结外侵犯",
    ),
    "ebv_dna": (
        "ebvdna", "ebv", "ebvstatus", "ebvdnastatus", "plasmaebvdna", "血浆ebvdna", "ebv状态", "eb病毒dna",
    ),
    "ebv_amount": (
        "ebvdnacopies", "ebvcopies", "ebvdnacopynumber", "ebvdnaload", "ebvload", "ebvviralload",
        "ebvdnaviralload", "plasmaebvdnaload", "ebvdna拷贝数", "ebv拷贝数", "ebvdna载量", "ebv载量",
        "ebvdna定量",
        "eb病毒载量", "eb病毒dna载量", "eb病毒dna定量", "血浆ebvdna拷贝数", "血浆ebvdna载量",
    ),
    "vca_iga": ("vcaiga", "vca", "ebvvcaiga", "vcaigastatus", "ebvcaiga"),
    "pathology": (
        "pathology", "pathologicaltype", "pathologytype", "pathologictype", "histology", "histologicaltype",
        "whotype", "path", "病理", "病理类型",
    ),
    "center": ("center", "centre", "hospital", "institution", "site", "中心"),
    "scanner": ("scanner", "scannerdevicename", "scannermodel", "manufacturermodelname", "devicename"),
}  # fmt: skip

LEVELS: dict[str, tuple[str, ...]] = {
    "sex": ("female", "male"),
    "T": ("T0", "T1", "T2", "T3", "T4"),
    "N": ("N0", "N1", "N2", "N3"),
    "M": ("M0", "M1"),
    "M1": ("M1a", "M1b"),
    "advanced_ene": ("no", "yes"),
    "stage": ("I", "IA", "IB", "II", "IIA", "IIB", "III", "IV", "IVA", "IVB", "IVC"),
    "ebv_dna": ("negative", "positive"),
    "vca_iga": ("negative", "positive"),
}

#: Words that always mean "not given"; a study adds its own under ``missing``.
NOT_GIVEN = frozenset({"", "na", "n/a", "#n/a", "nan", "null"})

_SEX = {
    "f": "female", "female": "female", "woman": "female", "女": "female",
    "m": "male", "male": "male", "man": "male", "男": "male",
}  # fmt: skip
_BINARY = {
    "positive": "positive", "pos": "positive", "+": "positive", "1": "positive", "阳性": "positive",
    "negative": "negative", "neg": "negative", "-": "negative", "0": "negative", "阴性": "negative",
}  # fmt: skip
_YES_NO = {
    "yes": "yes", "y": "yes", "present": "yes", "true": "yes", "是": "yes", "有": "yes",
    "no": "no", "n": "no", "absent": "no", "none": "no", "false": "no", "否": "no", "无": "no",
}  # fmt: skip
_ROMAN = {"1": "I", "2": "II", "3": "III", "4": "IV"}
# c (clinical) and p (pathological) say how a category was found; y, r and a say another time: not read
_CATEGORY = re.compile(r"[cp]?(?P<letter>[tnm])?\s*(?P<digit>[0-4])(?:\.0)?\s*[a-d]?", re.IGNORECASE)
_M1 = re.compile(r"[cp]?m?\s*1\s*(?P<part>[ab])", re.IGNORECASE)
_NOT_ASSESSED = re.compile(r"[cp]?[tnm]?x", re.IGNORECASE)
_STAGE = re.compile(r"(?:stage\s*)?(?P<group>iv|i{1,3}|[1-4])(?:\.0)?\s*(?P<part>[a-c]?)", re.IGNORECASE)


def read_sex(text: str) -> str | None:
    """Read female or male; numbers are not read, for 1 may be either."""
    return _SEX.get(text.casefold())


def read_binary(text: str) -> str | None:
    """Read negative or positive, as word, sign, 0 or 1."""
    return _BINARY.get(text.casefold().removesuffix(".0"))


def _read_yes_no(text: str) -> str | None:
    signs = {"positive": "yes", "negative": "no"}
    return _YES_NO.get(text.casefold()) or signs.get(read_binary(text) or "")


def _read_m1(text: str) -> str | None:
    """M1a (up to three lesions) or M1b of version 9; empty for a category that is not split."""
    if match := _M1.fullmatch(text):
        return "M1" + match["part"].lower()
    return None if _READERS["M"](text) is None else ""


def read_stage(text: str) -> str | None:
    """Read a stage group, Roman or Arabic.

    Examples
    --------
    >>> read_stage("4a"), read_stage("Stage IVB"), read_stage("5")
    ('IVA', 'IVB', None)
    """
    match = _STAGE.fullmatch(text)
    if match is None:
        return None
    group = match["group"].upper()
    stage = _ROMAN.get(group, group) + match["part"].upper()
    return stage if stage in LEVELS["stage"] else None


def _category_reader(letter: str) -> Reader:
    def read(text: str) -> str | None:
        if _NOT_ASSESSED.fullmatch(text) and text.casefold().strip("cpx") in ("", letter.casefold()):
            return ""
        match = _CATEGORY.fullmatch(text)
        if match is None or (match["letter"] or letter).upper() != letter:
            return None
        category = letter + match["digit"]
        return category if category in LEVELS[letter] else None

    return read


_READERS: dict[str, Reader] = {
    "sex": read_sex,
    "T": _category_reader("T"),
    "N": _category_reader("N"),
    "M": _category_reader("M"),
    "M1": _read_m1,
    "advanced_ene": _read_yes_no,
    "stage": read_stage,
    "ebv_dna": read_binary,
    "vca_iga": read_binary,
}


def reader_of(column: str) -> Reader:
    """Reader of the values of a standard column; other factors have no fixed words, their text is taken.

    Examples
    --------
    >>> read = reader_of("T")
    >>> [read(v) for v in ("T3", "3", "t3", "T3a", "cT3", "TX", "T9", "N3")]
    ['T3', 'T3', 'T3', 'T3', 'T3', '', None, None]
    """
    return _READERS.get(column, str)
