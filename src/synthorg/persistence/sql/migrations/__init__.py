"""Alembic from code: what state a schema is in, and how it becomes this version's.

Here belong the runner, the state and the drift of a schema, the operations of revisions, and the
adoption of a predecessor's database. The revisions themselves are in `migrations/versions`.
May import: `repositories` and the rooms below it.
"""
