"""Contours drawn by a network, and how far they are from those drawn by hand."""
