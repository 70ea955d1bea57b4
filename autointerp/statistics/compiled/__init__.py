"""Loops over resamples, permutations and windows, compiled; for one thread each.

Imported where they are called: what only reads scores, as the API does, needs no compiler.
"""
