"""One picture: from its file to pixels and back, with its metadata and colour space."""
