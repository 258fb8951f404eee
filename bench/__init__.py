"""Measures Ringback: `make bench`."""
