"""Training the student and measuring it."""
