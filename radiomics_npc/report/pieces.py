"""Pieces of the report's page: lists, folded tables, pictures, the Markdown of the methods."""

from __future__ import annotations

import base64
import html
import io
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from radiomics_npc.nomogram.style import svg_of
from radiomics_npc.report.plain import plain
from radiomics_npc.report.tables import number

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["bullets", "folded", "markdown_html", "pairs", "paragraph", "picture", "svg_picture", "yaml_text"]


def paragraph(text: str, *, soft: bool = False) -> str:
    """A paragraph, escaped.

    Examples
    --------
    >>> paragraph("a < b", soft=True)
    '<p class="soft">a &lt; b</p>'
    """
    style = ' class="soft"' if soft else ""
    return f"<p{style}>{html.escape(text)}</p>"


def folded(title: str, body: str, *, opened: bool = False) -> str:
    """What a reader unfolds; the title is escaped, the body is HTML.

    Examples
    --------
    >>> folded("A & B", "<p>1</p>")
    '<details><summary>A &amp; B</summary><p>1</p></details>'
    """
    return f"<details{' open' * opened}><summary>{html.escape(title)}</summary>{body}</details>"


def bullets(lines: Iterable[Any]) -> str:
    """A list, escaped; nothing if it is empty."""
    items = "".join(f"<li>{html.escape(str(line))}</li>" for line in lines)
    return f"<ul>{items}</ul>" if items else ""


def pairs(values: Mapping[str, Any]) -> str:
    """Names and values side by side."""
    rows = "".join(
        f"<div><dt>{html.escape(str(k))}</dt><dd>{html.escape(number(v))}</dd></div>"
        for k, v in values.items()
    )
    return f"<dl>{rows}</dl>"


def yaml_text(settings: Any) -> str:
    """Settings as YAML."""
    import yaml

    text = (
        settings
        if isinstance(settings, str)
        else yaml.safe_dump(plain(settings), sort_keys=False, allow_unicode=True)
    )
    return f'<pre tabindex="0" role="region" aria-label="Settings as YAML">{html.escape(text)}</pre>'


def _inline(text: str) -> str:
    """Emphasis and code of a line of Markdown; everything else is escaped."""
    text = html.escape(text, quote=False)
    text = re.sub(r"`([^`]+)`", r"<code>\1</code>", text)
    return re.sub(r"\*\*([^*]+)\*\*", r"<strong>\1</strong>", text)


def markdown_html(text: str) -> str:
    """The little Markdown that the methods section needs, as HTML.

    Headings, paragraphs, bullets, numbered lists, ``**strong**`` and `` `code` ``.

    Examples
    --------
    >>> markdown_html("## A & B\\n\\n1. one\\n2. two")
    '<h3>A &amp; B</h3><ol><li>one</li><li>two</li></ol>'
    """
    made = []
    for block in re.split(r"\n\s*\n", text.strip()):
        lines = block.strip().splitlines()
        for kind, mark in (("ul", r"[-*] "), ("ol", r"\d+\. ")):
            if all(re.match(mark, line) for line in lines):
                items = "".join(f"<li>{_inline(re.sub(mark, '', line, count=1))}</li>" for line in lines)
                made.append(f"<{kind}>{items}</{kind}>")
                break
        else:
            heading = re.match(r"(#+) (.*)", block)
            level = min(6, len(heading[1]) + 1) if heading else 0
            words = heading[2] if heading else " ".join(lines)
            made.append(f"<h{level}>{_inline(words)}</h{level}>" if heading else f"<p>{_inline(words)}</p>")
    return "".join(made)


def picture(name: str, figure: Figure | bytes | str | None, description: str) -> str:
    """A figure as inline SVG, or as PNG if it is one or shows images; its description is the caption.

    Examples
    --------
    >>> picture("auc", None, "What could not be drawn is left out.")
    ''
    """
    if figure is None:
        return ""
    inches = 5.0
    if isinstance(figure, str):
        drawn = figure
    elif isinstance(figure, bytes) or name == "montage":
        data = base64.b64encode(figure if isinstance(figure, bytes) else _png(figure)).decode()
        drawn, inches = f'<img alt="{html.escape(description)}" src="data:image/png;base64,{data}">', 6.2
    else:
        drawn, inches = svg_of(figure, name, description), figure.get_figwidth()
    label = f"Figure: {name.replace('_', ' ')}"
    return _framed(drawn, html.escape(description), inches, label)


def svg_picture(svg: str, description: str, *, inches: float = 6.8) -> str:
    """An SVG file as a picture of its own: its identifiers meet no others of the page.

    Examples
    --------
    >>> svg_picture("<svg/>", "A figure.").count("data:image/svg+xml;base64,PHN2Zy8+")
    1
    """
    data = base64.b64encode(svg.encode()).decode()
    words = html.escape(description)
    return _framed(f'<img alt="{words}" src="data:image/svg+xml;base64,{data}">', words, inches, "Figure")


def _framed(drawn: str, caption: str, inches: float, label: str) -> str:
    """A figure with its caption; on a phone a wide one moves sideways, so that its words are read."""
    region = f' tabindex="0" role="region" aria-label="{html.escape(label)}"' if inches > 4.4 else ""
    return (
        f'<figure style="--inches:{inches:.2f}"><div class="art"{region}>{drawn}</div>'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def _png(figure: Figure) -> bytes:
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=110, metadata={"Software": None})
    return stream.getvalue()
