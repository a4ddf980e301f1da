"""Flood-filling networks (Januszewski et al., Nature Methods 15, 605-610, 2018)."""
