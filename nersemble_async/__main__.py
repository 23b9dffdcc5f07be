"""``python -m nersemble_async`` is the command ``nersemble-async``."""

from nersemble_async.cli import main

if __name__ == "__main__":
    main()
