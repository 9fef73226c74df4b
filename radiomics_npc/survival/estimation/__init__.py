"""What an outcome says without predictors: Kaplan-Meier, baseline hazards, competing risks."""
