"""One file per family of image formats, each from an open file to its samples.

A reader is a function of the open file, the options and the name that messages use; it returns a
`Decoded` with the samples in the file's own numbers. `registry.py` knows which there are.
"""
