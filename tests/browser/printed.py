"""What stands in a PDF that Chromium printed: size of its pages, and their text."""

from __future__ import annotations

import re
import unicodedata
import zlib
from dataclasses import dataclass

#: Points.
A4 = (595, 842)


@dataclass(frozen=True)
class Printed:
    """Width and height of each page in points, and the letters of all, without the spaces between words."""

    sizes: list[tuple[int, int]]
    letters: str

    def says(self, words: str) -> bool:
        """Whether these words stand on its pages."""
        return _letters(words) in self.letters


def _letters(text: str) -> str:
    """Without spaces and ligatures: each glyph is placed by itself, and spaces may be mere distances."""
    return "".join(unicodedata.normalize("NFKC", text).split())


def read_pdf(data: bytes) -> Printed:
    """Read a PDF of Skia's: plain objects, fonts named by their object, text as glyphs with a Unicode map.

    Text without such a map, such as text drawn as curves, is not found.
    """
    objects = {int(n): body for n, body in re.findall(rb"(\d+) 0 obj\n(.*?)\nendobj", data, re.S)}
    fonts = {}
    for number, body in objects.items():
        if found := re.search(rb"/ToUnicode (\d+) 0 R", body):
            fonts[number] = _unicode_map(_stream(objects[int(found[1])]))
    sizes, text = [], []
    for body in objects.values():
        if not re.search(rb"/Type /Page\b", body):
            continue
        box = re.search(rb"/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]", body)
        contents = re.search(rb"/Contents (\d+) 0 R", body)
        assert box
        assert contents
        sizes.append((round(float(box[1])), round(float(box[2]))))
        text.append(_text(_stream(objects[int(contents[1])]), fonts))
    return Printed(sizes, _letters("".join(text)))


def _stream(body: bytes) -> str:
    return zlib.decompressobj().decompress(body.split(b"stream\n", 1)[1]).decode("latin-1")


def _unicode_map(source: str) -> dict[str, str]:
    """Characters by glyph."""
    found = {}
    for block in re.findall(r"beginbfchar\n(.*?)endbfchar", source, re.S):
        for glyph, text in re.findall(r"<(\w+)> <(\w+)>", block):
            found[glyph] = bytes.fromhex(text).decode("utf-16-be")
    for block in re.findall(r"beginbfrange\n(.*?)endbfrange", source, re.S):
        for first, last, start in re.findall(r"<(\w+)> <(\w+)> <(\w+)>", block):
            for k in range(int(last, 16) - int(first, 16) + 1):
                found[f"{int(first, 16) + k:04X}"] = chr(int(start, 16) + k)
    return found


def _text(source: str, fonts: dict[int, dict[str, str]]) -> str:
    """Characters in the order in which they are drawn."""
    shown, known = "", {}
    for font, glyphs in re.findall(r"/F(\d+) [\d.]+ Tf|((?:<[\dA-F]+>|\[[^\]]*\]) ?T[jJ])", source):
        if font:
            known = fonts.get(int(font), {})
        else:
            code = "".join(re.findall(r"<([\dA-F]+)>", glyphs))
            shown += "".join(known.get(code[k : k + 4], "") for k in range(0, len(code), 4))
    return shown
