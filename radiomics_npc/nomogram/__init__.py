"""nomogram."""
