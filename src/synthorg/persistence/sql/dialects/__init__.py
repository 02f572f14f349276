"""The dialects: one small class for each kind of database."""
