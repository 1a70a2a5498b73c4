"""Any trained checkpoint becomes the smallest file at the quality that is asked for."""
