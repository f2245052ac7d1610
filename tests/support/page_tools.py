"""Where the tools that come from npm lie: checks of the page that need them are skipped without."""

import os
from pathlib import Path


def node_modules() -> Path:
    """The folder that ``NODE_MODULES`` names, else the one of this checkout."""
    return Path(os.environ.get("NODE_MODULES", Path(__file__).parents[2] / "node_modules"))
