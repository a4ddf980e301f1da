"""What happens: carries out a plan, step by step.

How a process or a container is started belongs in `runner/engines/`.
"""
