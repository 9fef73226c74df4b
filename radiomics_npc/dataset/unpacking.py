"""A ZIP archive to a folder: nothing leaves the folder, and nothing half done is left behind.

An archive from a network is refused as a whole when anything in it is odd: a path that
leads out of the folder, a link, two files of one name, encryption, or far more bytes than
its size explains.
"""

from __future__ import annotations

import re
import shutil
import stat
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from radiomics_npc.errors import DownloadError
from radiomics_npc.storage import TEMPORARY

__all__ = ["Archive", "safe_parts"]

#: Masks are nearly all zero and shrink a hundredfold, images by half: whole data sets stay far below.
_MOST_RATIO: Final = 100
_ALWAYS_MODEST: Final = 1_000_000_000
_MOST_FILES: Final = 1_000_000
_CHUNK: Final = 1 << 20
_CHINESE: Final = re.compile(r"[\u2010-\u2027\u3000-\u303f\u3400-\u4dbf\u4e00-\u9fff\uff00-\uffef]+")
_RESERVED: Final = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
_REMEDY: Final = "Do not unpack it: it is not the published archive."


def safe_parts(name: str) -> tuple[str, ...]:
    r"""Parts of a path within an archive.

    Raises
    ------
    DownloadError
        The path is absolute, has a drive letter, climbs out (``..``), or holds what no
        system takes as a name.

    Examples
    --------
    >>> safe_parts("data/001/T1WI/1.dcm"), safe_parts("data\\001")
    (('data', '001', 'T1WI', '1.dcm'), ('data', '001'))
    >>> safe_parts("../../home/x")
    Traceback (most recent call last):
    ...
    radiomics_npc.errors.DownloadError: a path within the archive leads out of its folder. Do not ...
    """
    plain = name.replace("\\", "/")
    parts = tuple(part for part in plain.split("/") if part not in ("", "."))
    if plain.startswith("/") or re.match(r"[A-Za-z]:", plain) or ".." in parts:
        raise DownloadError("a path within the archive leads out of its folder", _REMEDY)
    for part in parts:
        if re.search(r"[\x00-\x1f:]", part) or part != part.rstrip(". ") or _RESERVED.fullmatch(part):
            raise DownloadError("a name within the archive is no name on every system", _REMEDY)
    return parts


class Archive:
    """A ZIP archive, looked through before anything is written.

    Parameters
    ----------
    path : Path

    Attributes
    ----------
    size : int
        Bytes of all its files, unpacked.

    Raises
    ------
    DownloadError
        It is no ZIP archive, or must not be unpacked.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        try:
            with zipfile.ZipFile(self.path) as archive:
                members = archive.infolist()
        except (zipfile.BadZipFile, OSError, ValueError) as error:
            raise DownloadError(
                f"{self.path.name} is no ZIP archive, or is damaged", "Delete it and download it again."
            ) from error
        try:
            self.members = self._checked(members)
        except DownloadError as error:
            raise DownloadError(f"{self.path.name}: {error.message}", error.remedy) from error
        self.size = sum(info.file_size for _, info in self.members)

    def _checked(self, members: list[zipfile.ZipInfo]) -> list[tuple[tuple[str, ...], zipfile.ZipInfo]]:
        checked, files, folders = [], set(), set()
        for info in members:
            parts = safe_parts(_name(info))
            kind = stat.S_IFMT(info.external_attr >> 16)
            is_folder = info.is_dir() or kind == stat.S_IFDIR or not parts
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise DownloadError("the archive holds a link or a device", _REMEDY)
            if info.flag_bits & 0x1:
                raise DownloadError("the archive is encrypted", "Ask its authors for the password.")
            # some systems take names that differ in case or accents' spelling for one
            key = tuple(unicodedata.normalize("NFC", part).casefold() for part in parts)
            folders |= {key[:n] for n in range(1, len(key) + is_folder)}
            if not is_folder:
                if key in files:
                    raise DownloadError("the archive holds two files of one name", _REMEDY)
                files.add(key)
                checked.append((parts, info))
        if files & folders:
            raise DownloadError("the archive holds a file and a folder of one name", _REMEDY)
        self._require_modest([info for _, info in checked])
        return checked

    def _require_modest(self, members: list[zipfile.ZipInfo]) -> None:
        size, packed = sum(m.file_size for m in members), self.path.stat().st_size
        if size > max(_MOST_RATIO * packed, _ALWAYS_MODEST) or len(members) > _MOST_FILES:
            raise DownloadError(
                f"{packed} bytes would unpack to {size} in {len(members)} files, which no images do",
                _REMEDY,
            )

    def unpack(self, folder: Path, note: str = "", text: str = "") -> Iterator[int]:
        """Write all files into ``folder``, which appears when all of them are there.

        Parameters
        ----------
        folder : Path
            Must not exist.
        note, text : str
            Name and content of a file to be put beside them.

        Yields
        ------
        int
            Bytes written.

        Raises
        ------
        DownloadError
            A file within is damaged.
        """
        temporary = folder.with_name(f"{TEMPORARY}{folder.name}")
        if temporary.exists():
            shutil.rmtree(temporary)  # of a call that was interrupted
        temporary.mkdir(parents=True)
        try:
            with zipfile.ZipFile(self.path) as archive:
                for parts, info in self.members:
                    yield from _write(archive, info, temporary.joinpath(*parts))
            if note:
                (temporary / note).write_text(text, encoding="utf-8")
            temporary.replace(folder)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
            raise DownloadError(
                f"a file within {self.path.name} is damaged, or packed in an unknown way",
                "Delete the archive and download it again.",
            ) from error
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def _write(archive: zipfile.ZipFile, info: zipfile.ZipInfo, target: Path) -> Iterator[int]:
    target.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(info) as source, target.open("xb") as stream:
        while piece := source.read(_CHUNK):
            stream.write(piece)
            yield len(piece)


def _name(info: zipfile.ZipInfo) -> str:
    """Name of a member; unmarked names are UTF-8 or, from Chinese systems, GB 18030 more often than cp437."""
    name = info.orig_filename
    if info.flag_bits & 0x800 or name.isascii():
        return name
    raw = name.encode("cp437")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        pass
    try:
        chinese = raw.decode("gb18030")
    except UnicodeDecodeError:
        return name
    foreign = re.sub(r"[\x00-\x7f]+", "", chinese)
    # accented letters of the West read as rare characters, a Chinese name has common ones
    common = len(foreign.encode("gb2312", "ignore").decode("gb2312"))
    return chinese if _CHINESE.fullmatch(foreign) and 2 * common > len(foreign) else name
