"""SQLAlchemy Core expressions, built once and prepared once.

Here belong statements, the lists with their filters and keyset cursors, and their preparation for a
driver. Running them does not.
May import: `dialects` and the rooms below it.
"""
