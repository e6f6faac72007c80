"""How Sphinx makes the pages of this folder: `make docs`."""

from __future__ import annotations

import django
from django.conf import settings

from channels_classic import __version__

# What the modules that are documented need to be imported; no database is opened.
settings.configure(
    SECRET_KEY="only-for-the-docs",
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "channels_classic",
        "channels_classic.delay",
    ],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    STATIC_URL="/static/",
)
django.setup()

project = "channels_classic"
author = "channels_classic contributors"
version = release = __version__

extensions = ["sphinx.ext.autodoc"]
exclude_patterns = ["_build"]
default_role = "literal"
highlight_language = "none"  # each block says what it is in
html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["sides.css"]
html_title = f"channels_classic {release}"
html_show_copyright = False
html_copy_source = False

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_class_signature = "mixed"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
toc_object_entries_show_parents = "hide"
