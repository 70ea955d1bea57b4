"""From values to what is printed: tables, exemplars, progress, numbers, tokens."""
