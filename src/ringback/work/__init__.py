"""Floor 3, work: claims predictions and runs them. Knows nothing of deliver/."""
