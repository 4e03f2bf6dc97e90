"""Fuse two registered images of one scene into one, with LKC-FUNet."""
