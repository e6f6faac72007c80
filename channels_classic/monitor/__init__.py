"""What goes on on the bus: for the page, the terminal, and whoever asks."""
