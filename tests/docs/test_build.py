"""The docs are built without a warning, and nothing in them leads nowhere."""

from __future__ import annotations

import pytest

from tests.docs import built


@pytest.mark.timeout(400)  # the first test of all that needs the pages
def test_sphinx_builds_every_page_without_a_warning() -> None:
    site = built.site()
    assert site.status == 0, site.output
    pages = {path.stem for path in built.DOCS.glob("*.rst")}
    assert pages <= {path.stem for path in site.folder.glob("*.html")}
