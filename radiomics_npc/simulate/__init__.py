"""Patients that never lived, in the published layout: anatomy, tumor, MR physics, known truth."""
