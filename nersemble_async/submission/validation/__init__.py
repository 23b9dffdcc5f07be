"""Everything that is wrong with a submission zip.

- `validate`: the way in; `validation_run`: what one stands on, and what it has found
- `structure_checks`: are the entries those of the benchmark; `entry_names`: what one was meant as
- `video_validation`: videos, each by itself (`video_checks`, from `video_format_checks`,
  `video_content`, `video_sampling`), then together (`camera_checks`, from `camera_references`,
  `camera_matching`, `identical_videos`)
- `mesh_validation`: meshes, each by itself (`mesh_checks`, `mesh_measures`, `mesh_findings`), then
  together (`subtask_checks`)
"""
