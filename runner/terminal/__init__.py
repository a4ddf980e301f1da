"""What is said while and after a run, on a terminal or into a file. Commands are in `cli.py`."""
