"""Lets `python -m lkcfuse` do what the console script does."""

from lkcfuse.cli.app import main

if __name__ == "__main__":
    main()
