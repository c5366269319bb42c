"""Scores of spans."""
