"""Who is in the study: layouts on disk, clinical table, staging, outcome, findings."""
