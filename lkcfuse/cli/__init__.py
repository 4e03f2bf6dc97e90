"""The command line: one file per command, no logic of its own, torch imported only to work."""
