"""Clips, moving pictures and mask files: in and out."""
