"""From Channels 1 to here: what ``channels-classic migrate`` rewrites, and what it points at."""
