"""Survival models, what they predict, and their files."""
