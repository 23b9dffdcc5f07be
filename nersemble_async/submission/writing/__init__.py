"""Predictions into a zip, frame by frame."""
