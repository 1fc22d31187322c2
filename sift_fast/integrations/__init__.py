"""Leaves, one file per framework; each imports its framework only when it is used."""
