"""Networks that fuse: one folder each, found through the registry."""
