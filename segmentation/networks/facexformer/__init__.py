"""The teacher, FaceXFormer."""
