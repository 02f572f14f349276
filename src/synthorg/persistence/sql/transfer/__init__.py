"""Records on their way from one database to another: read, written and compared, row by row.

Here belong the canonical form of rows, the reader of one state of a database, the writer of another
one, and what copies and compares with them.
May import: `migrations` and the rooms below it.
"""
