"""The documentation site: `make docs` builds it into docs/_build/html, with warnings as errors."""

import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent
sys.path[:0] = [str(DOCS), str(DOCS.parent)]  # reference.py; minigrad and models of this checkout

import reference  # noqa: E402

from minigrad import __version__  # noqa: E402

project = "minigrad"
author = "the minigrad authors"
version = release = __version__
extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon", "myst_parser", "sphinx_gallery.gen_gallery"]
exclude_patterns = ["_build", "lecture", "README.md"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
html_theme = "furo"
html_title = f"minigrad {__version__}"
html_show_sourcelink = False
html_show_copyright = False
myst_heading_anchors = 3
myst_enable_extensions = ["dollarmath"]
autodoc_typehints = "none"
napoleon_use_rtype = False
suppress_warnings = ["config.cache"]

sphinx_gallery_conf = {
    "examples_dirs": ["lecture"],
    "gallery_dirs": ["_gallery"],
    "filename_pattern": r"/\d\d_",  # every script runs while the site is built
    "abort_on_example_error": True,
    "copyfile_regex": r".*\.rst",
    "within_subsection_order": "FileNameSortKey",
    "remove_config_comments": True,
    "show_memory": False,
    "min_reported_time": 1e9,
    "write_computation_times": False,
}


def link_inside(app, name, content):
    """In the repository pages link to files of benchmarks/, which are pages of their own here."""
    content[0] = content[0].replace("](../benchmarks/README.md", "](benchmarks.md")


def link_inside_included(app, path, parent, content):
    content[0] = content[0].replace("](NOTES.md", "](benchmark-notes.md")


def setup(app):
    app.connect("source-read", link_inside)
    app.connect("include-read", link_inside_included)
    app.connect("builder-inited", lambda app: reference.write(Path(app.srcdir)))
    app.connect("autodoc-process-docstring", reference.plain, priority=1)  # before napoleon reads the sections
