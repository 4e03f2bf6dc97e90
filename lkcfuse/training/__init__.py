"""Training LKC-FUNet: data, losses, the loop, and the recipes of the packaged weights."""
