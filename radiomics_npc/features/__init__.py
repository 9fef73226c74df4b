"""What is measured: PyRadiomics and morphology by patient, merged with the clinical table."""
