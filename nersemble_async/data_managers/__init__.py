"""What users hold: a data manager for each benchmark, with the official toolkit's methods.

- `video_managers`, `svfr_manager`: the managers for an event loop; `nersemble_async.sync` has
  those for code without one
- `asset_access`: threads and fetching on demand, for the former; `streams`, `multi_view_streams`,
  `opened_videos`: what they open
- `local_assets`: the blocking core of both
- `participant_files`, `timeline`, `official_paths`: which files, timesteps and paths; pure
- `submission_validation`: a submission zip against its benchmark; `submission_metadata`: how long
  its videos have to be
- `overview`: what is on disk of a sequence; `prepared_frames`: what decoding it beforehand takes
"""

from __future__ import annotations

from nersemble_async.data_managers.svfr_manager import SVFRDataManager
from nersemble_async.data_managers.video_managers import MonoFlameAvatarDataManager, NVSDataManager

__all__ = ["MonoFlameAvatarDataManager", "NVSDataManager", "SVFRDataManager"]
