"""What all tests share."""

import os
import sys
from pathlib import Path

import torch
from hypothesis import settings

# No test fetches anything.
os.environ["HF_HUB_OFFLINE"] = "1"

# nbgrader looks for its helper `alembic` on the PATH, where an environment that was not activated does not put it.
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"

# Tests fork, and a child hangs where its parent has started threads.
torch.set_num_threads(1)

# The same examples on every machine, and no limit on time: a busy machine is no mistake.
settings.register_profile("engine", deadline=None, derandomize=True, max_examples=60, database=None)
settings.load_profile("engine")
