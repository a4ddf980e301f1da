"""Reads and writes what stages pass to each other: volumes, labels, picture sets, tables, models.

Files of users are read in `readers/`. `words` holds phrases that the messages of all stages share.
"""
