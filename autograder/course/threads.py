"""How many processors compute: for tensors as small as a notebook's experiments have, one."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one thread inside of this block, and on as many as before after it.

    Dividing small tensors gains nothing, and on a busy machine the threads wait for each other: several times the time.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
