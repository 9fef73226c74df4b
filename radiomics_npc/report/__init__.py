"""What is shown: figures, tables, methods section, model cards, the report page."""
