"""Number prediction: recall the digit that the last input points to."""
