"""A Cox model as a nomogram: points scale, drawing, the page that calculates."""
