"""Steps before selection, fitted in the training fold: missing values, centers."""
