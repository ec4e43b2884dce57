"""Many pictures: finding them, doing them once each, noting what was done; here or on a cluster."""
