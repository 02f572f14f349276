"""One class for each kind of database: all in which one differs from another.

Here belong its SQL, its settings, its errors, its locks, TLS and inspection, and nothing that all
databases do alike. To add a database, derive from `base.Dialect` and add it to `registry`.
May import: `drivers`, `tables`, `types`.
"""
