"""Tar archives read in place: where their images lie, without unpacking them."""
