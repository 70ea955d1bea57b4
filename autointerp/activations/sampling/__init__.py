"""The choice of windows: strata and bands, weights, negatives, and the sets of a unit."""
