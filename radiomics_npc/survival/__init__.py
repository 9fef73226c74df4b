"""Prognosis: selection, Cox and boosted models, metrics, validation, model files."""
