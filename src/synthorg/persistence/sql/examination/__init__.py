"""A database looked at as an experienced operator would: what is wrong, and what to do.

Here belongs what asks the questions that are the same for every database; those of one kind are
its dialect's. May import: `transfer` and the rooms below it.
"""
