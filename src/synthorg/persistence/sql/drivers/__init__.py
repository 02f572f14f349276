"""Prepared statements on a driver's own connection, past SQLAlchemy.

Here belongs what a driver is asked to do and how its connections are kept: batching, the write
lock, cancellation, silence, forks. What SQL a database understands does not; that is its dialect's.
May import: `tables`, `types`.
"""
