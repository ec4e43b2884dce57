"""A picture in, its hair mask out."""
