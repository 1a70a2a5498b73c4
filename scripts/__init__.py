"""Programs for the makers of the package. Run them from the repository's root."""
