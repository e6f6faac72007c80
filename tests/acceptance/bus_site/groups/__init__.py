"""What becomes of messages to groups."""
