"""Fast convolution on a CPU, and layers streamed over maps; knows nothing of any network."""
