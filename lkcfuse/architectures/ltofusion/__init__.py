"""LTOFusion: fusion as a few learned steps from the pixelwise maximum (He et al., 2026)."""
