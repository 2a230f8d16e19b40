"""What the author of a driver needs to test it."""
