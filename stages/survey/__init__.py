"""Checks what each stage will refuse, and estimates what it needs, from the heads of inputs: one module for a stage.

A module is named after its stage, and has one function, `survey(params, look)`. It uses the checks of its stage and of
the readers, and repeats none of them. It reads no pixels, and makes nothing. Stages know nothing of it.
"""
