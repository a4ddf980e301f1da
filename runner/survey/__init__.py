"""Has a survey look at the inputs of a plan before its first step, and estimates what the run needs.

What is read and measured is in `stages/survey/`, which an engine starts like a stage. Whether a step has to run is
decided in `runner/execution/`.
"""
