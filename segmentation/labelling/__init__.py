"""Pictures labelled by the teacher."""
