"""Flood-filling networks (Januszewski et al., Nature Methods 15, 605-610, 2018), and what prepares their training.

What other networks could use as well is one folder up.
"""
