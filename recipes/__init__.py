"""Recipes of `sws train`, as package data."""
