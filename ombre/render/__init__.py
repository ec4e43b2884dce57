"""Laying the dye into hair."""
