"""What projects and channel layers are tested with."""
