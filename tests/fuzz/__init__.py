"""Files that were damaged at random, given to whatever reads files.

    python -m tests.fuzz image --cases 100000

Whatever a reader makes of a file, it ends in its result or in an error of ours. What else happens
(another exception, a signal, more than 5 s of work, more memory than the pixels need and 1 GB) is
reported, made smaller, and kept as a file.
"""
