"""Headlines that all browsers see at once, by server-sent events."""
