"""Pictures with hair masks to train on."""
