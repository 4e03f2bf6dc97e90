"""Registration of two pictures that different sensors took."""
