"""Pictures of data, to see at a glance whether it is what it should be.

- `sheet`: rows of labelled tiles in one PNG
- `overlay`: pointclouds and meshes as a camera sees them, drawn over its image
- `root_sheet`: what a root holds, of every benchmark something
- `sequence_sheet`: one sequence, cameras by timesteps, with alpha maps and an overlay
- `submission_sheet`: a submission's zip, from `submission_videos` and `submission_meshes`;
  `submission_references`: what is set beside them; `mesh_picture`: a mesh, shaded
"""
