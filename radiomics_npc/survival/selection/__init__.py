"""Choosing features in the training fold, and the signature made of them."""
