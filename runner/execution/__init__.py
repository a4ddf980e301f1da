"""Carries out a plan, step by step.

Code that starts a process or a container belongs in `runner/engines/`.
"""
