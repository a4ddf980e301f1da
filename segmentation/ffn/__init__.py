"""Flood-filling networks (Januszewski et al., Nature Methods 15, 605-610, 2018), and what prepares their training.

Code that other networks could use as well belongs one folder up.
"""
