"""A socket that answers what it is told, by function consumers."""
