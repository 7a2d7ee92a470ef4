"""The documentation site: ``make docs`` builds it into build/docs; a warning is an error."""

from __future__ import annotations

project = "framework"
author = "The framework authors"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "framework"
html_show_copyright = False
myst_heading_anchors = 3
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "undoc-members": False, "show-inheritance": True}
autodoc_preserve_defaults = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True
# Docstrings name parameters and Python things in ``code``; they are not cross-referenced, so nothing can be nitpicked.
# A compiled module's signatures are text, in which a short name may be that of two classes.
suppress_warnings = ["myst.xref_missing", "ref.python"]
