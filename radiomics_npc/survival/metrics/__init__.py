"""How good a prediction is: discrimination, calibration, usefulness."""
