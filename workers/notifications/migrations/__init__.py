"""The history of the table of notifications."""
