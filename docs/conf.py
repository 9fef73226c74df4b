"""Sphinx settings. ``sphinx-build -W -b html docs docs/_build/html``; nothing is fetched from the network."""

import importlib.util
import sys
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.parsers.rst.directives.images import Figure
from sphinx.application import Sphinx

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

import reference_pages  # noqa: E402

import radiomics_npc  # noqa: E402

project = "radiomics_npc"
author = "The radiomics_npc developers"
release = version = radiomics_npc.__version__
language = "en"

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_copybutton",
]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
exclude_patterns = ["_build", "model_file_words.md"]
templates_path = ["_templates"]

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_typehints = "none"  # numpydoc docstrings say the types in words
autosummary_generate = True
numpydoc_show_class_members = False  # the template lists them
numpydoc_xref_param_type = False
add_module_names = False
python_use_unqualified_type_names = True

html_theme = "furo"
html_title = f"radiomics_npc {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False
html_last_updated_fmt = None  # the same text gives the same pages
copybutton_prompt_text = r">>> |\.\.\. |\$ |> "
copybutton_prompt_is_regexp = True
copybutton_selector = "div.highlight:not(.highlight-text):not(.highlight-output) > pre"


def _public_name(app: Sphinx, env: Any, node: nodes.Element, content: nodes.Element) -> nodes.Element | None:
    """Lead a reference to where something is defined to the page of its public name."""
    home, _, name = str(node.get("reftarget", "")).rpartition(".")
    if node.get("refdomain") != "py" or not home or radiomics_npc._HOME.get(name) is None:
        return None
    if home != f"radiomics_npc.{radiomics_npc._HOME[name]}":
        return None
    return env.get_domain("py").resolve_xref(
        env, node["refdoc"], app.builder, "obj", f"radiomics_npc.{name}", node, content
    )


class FigureIfThere(Figure):
    """A figure, or nothing where its file has not been made."""

    def run(self) -> list[nodes.Node]:
        """Look for the file beside the page first."""
        _, path = self.state.document.settings.env.relfn2path(self.arguments[0])
        return super().run() if Path(path).exists() else []


def setup(app: Sphinx) -> None:
    """Write the generated pages before Sphinx looks for pages."""
    torch = importlib.util.find_spec("torch") is not None
    reference_pages.write_pages(HERE / "api", with_torch=torch)
    app.add_directive("figure-if-there", FigureIfThere)
    app.connect("missing-reference", _public_name)
