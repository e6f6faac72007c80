"""The example site: its settings, addresses and routing."""
