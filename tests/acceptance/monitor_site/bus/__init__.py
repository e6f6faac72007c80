"""What runs on the workers of this site."""
