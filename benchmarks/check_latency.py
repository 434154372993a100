"""How long a student waits for `check`: `make bench`, or `python benchmarks/check_latency.py --calls 200 ch1`.

For every exercise, half of the calls check the model answer and half a known mistake (whose verdict has pictures to
draw), in a real IPython shell in this process, with what it displays captured. The checks are read from a file, as in a
release. Prints the median and the 95th percentile in milliseconds, and how many of 100 calls stayed under the limit;
ends with status 1 when fewer than 95 did.
"""

import argparse
import contextlib
import os
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from rich.console import Console
from rich.table import Table

from autograder import check, start
from autograder.checksfile import SUFFIX, pack
from autograder.errors import CheckFailed
from autograder.exercise import Exercise
from autograder.inputs import resolve
from autograder.release import checks_of
from autograder.solutions import load_chapter

ROOT = Path(__file__).resolve().parent.parent
LIMIT = 50.0  # milliseconds: what still feels immediate
SHARE = 95  # of 100 calls


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    chapters = sorted(path.name for path in (ROOT / "solutions").iterdir() if path.is_dir())
    parser.add_argument("chapters", nargs="*", default=chapters, help="all when none is named")
    parser.add_argument("--calls", type=int, default=200, help="for each exercise")
    options = parser.parse_args()
    console = Console()
    table = Table("exercise", box=None, padding=(0, 2, 0, 0))
    for title in ("median ms", "95 % ms"):
        table.add_column(title, justify="right")
    taken: list[float] = []
    with console.status("") as status:
        for name, times in measure(options.chapters, options.calls):
            status.update(f"{name} done")
            table.add_row(name, f"{statistics.median(times):.1f}", f"{percentile(times):.1f}")
            taken += times
    if not taken:
        console.print("There is no exercise to measure.")
        return 1
    table.add_row("all", f"{statistics.median(taken):.1f}", f"{percentile(taken):.1f}", style="bold")
    console.print(table)
    under = 100 * sum(each < LIMIT for each in taken) / len(taken)
    console.print(f"{under:.1f} of 100 calls took less than {LIMIT:g} ms.", highlight=False)
    return 0 if under >= SHARE else 1


def measure(chapters: list[str], calls: int) -> Iterator[tuple[str, list[float]]]:
    """The milliseconds of every call, exercise by exercise, in a folder as a student has it."""
    shell = InteractiveShell.instance()
    before = Path.cwd()
    for chapter in chapters:
        solutions = ROOT / "solutions" / chapter
        exercises = load_chapter(solutions)
        for notebook in sorted((ROOT / "source" / chapter).glob("*.ipynb")):
            checks = checks_of(notebook, solutions, "en")
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder, f"{notebook.stem}{SUFFIX}")
                path.write_bytes(pack(checks.keys.values(), checks.language))
                os.chdir(folder)
                try:
                    start(notebook.stem)
                    for slug in checks.keys:
                        yield slug, _timed(shell, slug, exercises[slug], calls)
                finally:
                    os.chdir(before)


def _timed(shell: InteractiveShell, slug: str, exercise: Exercise, calls: int) -> list[float]:
    """Call check again and again, on right and on wrong answers in turn."""
    mistakes = [mistake.answers for mistake in exercise.mistakes] or [exercise.answers]
    times = []
    for call in range(-2, calls):  # the first two warm up
        answers: Mapping[str, Any] = exercise.answers if call % 2 else mistakes[call // 2 % len(mistakes)]
        shell.user_ns.update({name: resolve(target) for name, target in exercise.stand_ins.items()})
        shell.user_ns.update({name: answers[name] for name in answers})
        with capture_output():
            began = time.perf_counter()
            with contextlib.suppress(CheckFailed):
                check(slug)
            if call >= 0:
                times.append(1000 * (time.perf_counter() - began))
    return times


def percentile(times: list[float], share: int = SHARE) -> float:
    """The time that `share` of 100 calls did not exceed."""
    return sorted(times)[max(0, -(-len(times) * share // 100) - 1)]


if __name__ == "__main__":
    raise SystemExit(main())
