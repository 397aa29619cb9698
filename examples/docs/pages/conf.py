"""The documentation: python -m sphinx examples/docs/pages site."""

import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT / name) for name in ("src", "signaling", "examples/docs")]

project = "restartice"
author = "The restartice authors"
copyright = "the restartice authors"  # noqa: A001  Sphinx's name
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "building",
]
root_doc = "index"
smartquotes_action = "D"  # dashes
default_role = "name"

html_theme = "furo"
html_title = "restartice"
html_logo = html_favicon = "../../browser/icon.svg"
html_static_path = ["static"]
html_css_files = ["style.css"]
html_copy_source = False
html_show_sphinx = False
html_theme_options = {
    "light_css_variables": {
        "color-brand-primary": "#00695c",
        "color-brand-content": "#00695c",
        "color-brand-visited": "#00695c",
    },
    "dark_css_variables": {
        "color-brand-primary": "#4db6ac",
        "color-brand-content": "#4db6ac",
        "color-brand-visited": "#4db6ac",
    },
}
pygments_style = "friendly"
pygments_dark_style = "github-dark"

myst_enable_extensions = ["attrs_block"]
myst_heading_anchors = 4
# Pages that show code, which are made from it.
myst_url_schemes = {"http": None, "https": None, "code": {"url": "code/{{path}}.html#{{fragment}}"}}

add_module_names = False
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints_format = "short"
napoleon_use_ivar = True
napoleon_use_rtype = False
python_maximum_signature_line_length = 72
python_use_unqualified_type_names = True
toc_object_entries_show_parents = "hide"
