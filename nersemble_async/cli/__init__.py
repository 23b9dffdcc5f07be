"""The command line: ``nersemble-async`` and ``python -m nersemble_async``.

- `app`: the commands put together, and `main`
- `arguments`: the official tool's spellings; `options`: what the commands share
- `fetch`, `verify`, `status`, `checksums`, `info`, `preview`, `prepare`, `synthesize`, `demo`: one
  file a command; `sequence_target`: TASK/PARTICIPANT/SEQUENCE; `prepare_report`: what it did
- `pack`: a submission from folders of predictions; `pack_job`: its work; `pack_report`: what it did
- `validate`: a submission zip; `validate_report`: what was found in it, in words and JSON;
  `submission_options`: what commands about submissions share
- `demo_steps`: what the demo shows, a list to append to; `demo_fetch_steps`, `demo_load_steps`,
  `demo_submit_steps`: its steps; `demo_stage`: what they stand on; `demo_method`: what it submits
- `session`: settings, the question for the URL, errors → exit codes; `interruption`: Ctrl-C
- `tally`: what the events of a run add up to; `wording`: as words; `report`: as JSON
- `survey`: what a dry run found; `findings`: what verify and status found; both in words and JSON
- `output`: plain, JSON and quiet output; `console`: the terminal, the only user of rich
- `secrecy`: no URL in anything that is printed
"""

from __future__ import annotations

import gc


def main() -> None:
    """Run the command line with ``sys.argv`` and leave the process with its exit code."""
    # Starting up makes objects that stay; looking through them for garbage costs a seventh of it.
    gc.set_threshold(50_000)
    # Imported here: ``from nersemble_async.cli import main`` is what an entry point does first.
    from nersemble_async.cli.app import main as run  # noqa: PLC0415

    run()
