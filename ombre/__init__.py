"""Dyeing hair in pictures and clips."""
