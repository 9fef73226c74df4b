"""Designs that say how a model will do on patients it has not seen."""
