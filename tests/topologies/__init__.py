"""Databases that are more than one server."""
