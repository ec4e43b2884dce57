"""Colours: shades and their names, and what a colour does to each lightness."""
