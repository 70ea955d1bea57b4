"""Dictionary."""
