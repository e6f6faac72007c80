"""A counter: one number, live in every browser, raised by a button or by JSON."""
