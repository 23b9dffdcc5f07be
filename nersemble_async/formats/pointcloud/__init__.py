"""Pointclouds in every PCD encoding."""
