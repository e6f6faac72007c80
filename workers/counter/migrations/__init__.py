"""The history of the counter's table."""
