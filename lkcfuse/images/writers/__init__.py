"""One file per format that is written, each from an array to the bytes of a file.

A writer is a function of the samples and of what goes with them (`Extras`); `registry.py` knows
which there are.
"""
