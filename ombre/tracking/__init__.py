"""A clip's hair from frame to frame."""
