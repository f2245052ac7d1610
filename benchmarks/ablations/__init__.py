"""What each part of the model and of its training is worth."""
