"""The history of the thumbnailer's tables."""
