"""Fusing: the model on tensors, and `Fuser` on files, images and arrays."""
