"""Meshes and their landmarks: PLY, OBJ, npy."""
