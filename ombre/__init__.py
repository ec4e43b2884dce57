"""Dyes people's hair in pictures and clips: an ombre, melting upwards into the natural colour."""

from ombre.api import Ombre

__all__ = ["Ombre"]
