"""What is kept: the files of a run folder, and how they are written, locked and read. Decides nothing about steps."""
