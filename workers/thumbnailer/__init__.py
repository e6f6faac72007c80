"""A photograph goes in, a worker makes three sizes, and the page shows each when it is ready."""
