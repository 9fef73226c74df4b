"""Images and masks: reading, grids, normalization, meshes, checks."""
