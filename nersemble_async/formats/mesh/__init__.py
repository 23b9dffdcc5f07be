"""Meshes and their landmarks: PLY, OBJ, npy.

- `mesh_file`: any mesh, read; `obj_text`: what OBJ's vertices and faces are
- `ply`: our own parser and writer, from `ply_header`, `ply_table`, `ply_ascii`, `ply_binary`
- `merged_vertices`: how many are left for a reader that merges equal ones
- `landmarks`: from and to the bytes of an npy
"""
