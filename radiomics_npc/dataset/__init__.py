"""Published cohorts and one's own: described, measured, compared, de-identified, converted, downloaded."""
