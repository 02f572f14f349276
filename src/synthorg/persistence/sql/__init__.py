"""The one SQL implementation: tables, dialects, database, repositories and backend."""
