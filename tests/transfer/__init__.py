"""Databases copied into others, and compared."""
