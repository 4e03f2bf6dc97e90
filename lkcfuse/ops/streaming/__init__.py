"""Layers of a network run over whole feature maps, region by region, exactly."""
