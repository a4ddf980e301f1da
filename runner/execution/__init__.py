"""What happens: a plan is carried out, step by step. Starting a process or a container belongs in `engines/`."""
