"""A small renderer for the pictures in `examples`: a night street and a brain-like phantom."""
