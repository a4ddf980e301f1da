"""What happens: a plan is carried out, step by step. How a process or a container is started belongs in `engines/`."""
