"""FLAME: trackings, the model's files read as data, vertices and landmarks."""
