"""The start page, and the way from page to page."""
