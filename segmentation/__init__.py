"""Finding hair: the networks, their training, and the search for heads."""
