"""Radiomics and prognostic modelling of nasopharyngeal carcinoma."""
