"""Results shown: side by side on a sheet, and a camera's in a window."""
