"""What is kept: the files of a run folder, how they are written, locked and read. Decides nothing about steps."""
