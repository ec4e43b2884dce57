"""What all stages stand on: files, pictures, batches, the command line."""
