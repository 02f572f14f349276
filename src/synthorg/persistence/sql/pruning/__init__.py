"""Old records removed by policy: which there are, chosen batch by batch, and what goes with them.

Here belong what is known of each kind of records that grow for ever, the statements that choose
them, and the loop that removes them in short transactions.
May import: `transfer` and the rooms below it.
"""
