"""The spread of prediction intervals: how it follows the outcomes between trainings, as level and slope do."""
