"""The database at work: connections, transactions, savepoints, retries and errors.

Here belongs what runs a statement and says what became of it. What a record is does not.
May import: `statements` and the rooms below it.
"""
