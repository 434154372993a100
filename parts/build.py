"""Build source/<chapter>/<notebook>.ipynb in /work/next from parts/<chapter>/<notebook>-NN-*.txt (cells between '=== ' lines).

usage: cd /work/next && PYTHONPATH=/work/next /work/main/.venv/bin/python /tmp/lead/nbbuild.py ch2 transformer
"""

import re, sys
from pathlib import Path
import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from autograder.exercise import ConceptQuestion
from autograder.solutions import load_exercise

chapter, name = sys.argv[1:3]
root = Path.cwd()
plain = {"grade": False, "solution": False, "locked": False, "task": False, "schema_version": 3}
cells, n = [], 0


def mark(source, grade_id, **m):
    cell = new_code_cell(source, metadata={"nbgrader": {**plain, "grade_id": grade_id, **m}})
    return cell


def ident(text):
    return re.sub(r"[^a-z0-9]+", "-", text.lower())[:64].strip("-")


for part in sorted((root / "parts" / chapter).glob(f"{name}-[0-9]*.txt")):
    for block in re.split(r"(?m)^=== ", part.read_text(encoding="utf-8"))[1:]:
        head, _, body = block.partition("\n")
        kind, *rest = head.split()
        body = body.strip("\n")
        if kind == "md":
            c = new_markdown_cell(body)
            c.id = f"md-{n:03d}"
            cells.append(c)
        elif kind == "code":
            c = new_code_cell(body, metadata={"tags": rest} if rest else {})
            c.id = f"code-{n:03d}"
            cells.append(c)
        elif kind == "exercise":
            slug = rest[0]
            ex = load_exercise(root / "solutions" / chapter / f"{slug}.py")
            concept = isinstance(ex, ConceptQuestion)
            for answer, source in ex.blank().items():
                c = mark(source.rstrip("\n"), ex.cell_id(answer), solution=True)
                if concept:
                    c.metadata["tags"] = ["question"]
                c.id = ident(f"{slug}-{answer}-answer")
                cells.append(c)
            shown = f'"{slug}"' if concept else ", ".join(ex.answers)
            c = mark(
                f'check({shown})\n### BEGIN HIDDEN TESTS\nfrom autograder import exam\nexam("{slug}")\n### END HIDDEN TESTS',
                slug,
                grade=True,
                locked=True,
                points=ex.points,
            )
            c.id = ident(f"{slug}-exam")
            cells.append(c)
        elif kind == "task":
            slug, points = rest
            c = new_markdown_cell(
                body,
                metadata={
                    "nbgrader": {**plain, "grade_id": slug, "locked": True, "task": True, "points": float(points)}
                },
            )
            c.id = ident(f"{slug}-task")
            cells.append(c)
        else:
            raise SystemExit(f"{part}: unknown kind of cell {kind!r}")
        n += 1
nb = new_notebook(
    cells=cells,
    metadata={
        "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
        "language_info": {"name": "python", "version": "3.11"},
    },
)
nb.nbformat_minor = 5
target = root / "source" / chapter / f"{name}.ipynb"
target.parent.mkdir(parents=True, exist_ok=True)
nbformat.write(nb, target)
print(target, len(cells), "cells")
