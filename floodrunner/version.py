"""The version of this project, which records and images carry."""

__version__ = "0.1.0"
