"""Makes whatever a student hands in gradable: unreadable files, torn metadata, missing cells."""

import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
from nbconvert.filters.markdown_mistune import InvalidNotebook, IPythonRenderer, MarkdownWithMath
from nbformat import NotebookNode, from_dict
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_raw_cell
from nbgrader.api import Gradebook, MissingEntry
from nbgrader.converters.base import NbGraderException
from nbgrader.preprocessors import ClearOutput, NbGraderPreprocessor, OverwriteCells
from traitlets import Integer, default

from autograder.errors import CourseError
from autograder.intake import Limits, check_request, check_room, explain_errors, set_aside
from autograder.kernels.sandbox import Sandbox
from autograder.kernels.warm import available, nursery
from autograder.messages import GRADING, SUBMISSION
from autograder.notebook import grade_id
from autograder.outputs import bound
from autograder.preprocessors.release import CourseExporter, SelectLanguage
from autograder.text import Text

LARGE = 20 * 2**20  # bytes; a notebook above it is read, but said to be large
SCHEMA_VERSION = 3  # of nbgrader's cell metadata
_KERNELSPEC = ("name", "display_name", "language")
_IMAGE = re.compile(r"image/[\w.+-]{1,50}")
_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_BASE64 = re.compile(r"[A-Za-z0-9+/=\s]+")


class SubmissionExporter(CourseExporter):
    """Reads a submitted notebook; one that cannot be read becomes an empty one that says why, and gets no marks.

    Stock nbgrader ends in a traceback there, or stops the class. What cannot be handed to nbgrader at all is set aside
    before its loop (`autograder.intake`).
    """

    max_files = Integer(Limits.files, help="Files and folders that a submission may hold.").tag(config=True)

    max_megabytes = Integer(Limits.megabytes, help="How large a submission's files may be together.").tag(config=True)

    max_notebook_megabytes = Integer(
        Limits.notebook_megabytes, help="How large one notebook of a submission may be."
    ).tag(config=True)

    min_free_megabytes = Integer(
        64, help="Room that the disks of autograded/ and of the gradebook must have for a notebook to be graded."
    ).tag(config=True)

    @default("optimistic_validation")  # type: ignore[untyped-decorator]
    def _optimistic_validation_default(self) -> bool:
        return True  # once at the end, not after each preprocessor

    def __init__(self, **options: Any) -> None:
        converter = options.get("parent")
        course = getattr(converter, "coursedir", None)
        if converter is None or course is None:
            super().__init__(**options)
            return
        try:
            check_request(course)
            if available():
                nursery()  # it imports while the exercises' keys are made
            super().__init__(**options)
            Sandbox(parent=self).demand()
            set_aside(converter, Limits(self.max_files, self.max_megabytes, self.max_notebook_megabytes))
            check_room(course, self.min_free_megabytes)
        except CourseError as error:
            converter.log.error("%s", error)
            raise NbGraderException(str(error)) from None
        explain_errors(converter.log)

    def check_notebooks(self, folder: Path) -> None:
        """What students hand in is mended, one by one; nothing in it stops the class."""

    def from_filename(self, filename: str, resources: Any = None, **options: Any) -> tuple[str, dict[str, Any]]:
        self._check_room()
        try:
            open(filename, "rb").close()
        except OSError as error:  # a folder of that name
            self.log.warning("%s: %s", filename, error.strerror)
            nb = new_notebook(cells=[new_markdown_cell(SUBMISSION["no_file"].pick(self._language), id="problem")])
            return self.from_notebook_node(nb, resources=resources, **options)
        return super().from_filename(filename, resources, **options)

    def from_file(self, file_stream: Any, resources: Any = None, **options: Any) -> tuple[str, dict[str, Any]]:
        with open(file_stream.name, "rb") as stream:
            data = stream.read()
        if len(data) > LARGE:
            self.log.warning("%s is %.0f MB large: its outputs are dropped", file_stream.name, len(data) / 2**20)
        # --no-execute of nbgrader, and it alone, takes the outputs that were handed in
        nb, problem = read_submission(data, outputs=not ClearOutput(parent=self).enabled)
        if problem is not None:
            self.log.warning("%s: %s", file_stream.name, problem.en)
            nb.cells.append(new_markdown_cell(problem.pick(self._language), id="problem"))
        return self.from_notebook_node(nb, resources=resources, **options)

    def _check_room(self) -> None:
        """Before anything is computed or recorded for a notebook: rather no score than one without its copy."""
        course = getattr(self.parent, "coursedir", None)
        if course is None:
            return
        try:
            check_room(course, self.min_free_megabytes)
        except CourseError:
            self.parent.force = False  # it deletes the earlier copy of each submission, before it can be made anew
            raise

    @property
    def _language(self) -> str:
        return SelectLanguage(parent=self).language


def read_submission(data: bytes, *, outputs: bool = False) -> tuple[NotebookNode, Text | None]:
    """A notebook of format 4 from a file's bytes, and what was wrong with it. The notebook is empty when unreadable.

    Cells keep their ids where they can, and get such as depend on nothing but their place; `outputs` keeps those, too.
    """
    try:
        text = data.decode("utf-8-sig") if data[:3] == b"\xef\xbb\xbf" else data
        tree = json.loads(text, parse_int=_integer)
    except UnicodeDecodeError:
        return new_notebook(), SUBMISSION["encoding"]
    except RecursionError:
        return new_notebook(), SUBMISSION["too_deep"]
    except ValueError as error:
        at = f"line {error.lineno}" if isinstance(error, json.JSONDecodeError) else "?"
        return new_notebook(), SUBMISSION["not_json"].format(at=at)
    if not isinstance(tree, dict) or "nbformat" not in tree:
        return new_notebook(), SUBMISSION["not_a_notebook"]
    if tree["nbformat"] == 3:
        try:
            tree = nbformat.convert(nbformat.from_dict(tree), 4)
        except Exception:  # nbformat raises whatever it stumbles over
            return new_notebook(), SUBMISSION["other_format"].format(version=3)
    if tree["nbformat"] != 4:
        return new_notebook(), SUBMISSION["other_format"].format(version=str(tree["nbformat"])[:20])
    cells = tree.get("cells")
    read = [(cell, _whole_cell(cell)) for cell in cells] if isinstance(cells, list) else []
    whole = [cell for _, cell in read if cell is not None]
    _keep_ids(whole, [cell.get("id") for cell, kept in read if kept is not None])
    for cell, kept in read if outputs else ():
        if kept is not None and kept.cell_type == "code":
            kept.outputs = from_dict(cell["outputs"]) if isinstance(cell.get("outputs"), list) else []
            bound(kept, LARGE, GRADING["too_much"].format(most=f"{LARGE:,}").en)
    nb = new_notebook(cells=whole, metadata=_kernelspec(tree.get("metadata")))
    if not isinstance(cells, list):
        return nb, SUBMISSION["no_cells"]
    dropped = len(cells) - len(whole)
    return nb, SUBMISSION["dropped_cells"].format(count=dropped) if dropped else None


def _keep_ids(cells: list[NotebookNode], ids: list[Any]) -> None:
    taken: set[str] = set()
    for number, (cell, own) in enumerate(zip(cells, ids, strict=True)):
        valid = isinstance(own, str) and _ID.fullmatch(own) and own not in taken
        cell.id = str(own) if valid else next(i for i in _numbered(f"cell-{number}") if i not in taken)
        taken.add(cell.id)


def _numbered(start: str) -> Iterator[str]:
    return (start if not n else f"{start}-{n}" for n in itertools.count())


def _integer(digits: str) -> float:
    """Python refuses to read integers of thousands of digits; nothing that is used of a notebook is one."""
    return int(digits) if len(digits) < 100 else float("inf")


def _whole_cell(cell: Any) -> NotebookNode | None:
    """The cell in valid form, without outputs (they are made anew); None when it holds no source."""
    if not isinstance(cell, dict) or cell.get("cell_type") not in ("code", "markdown", "raw"):
        return None
    source = cell.get("source", "")
    if isinstance(source, list) and all(isinstance(line, str) for line in source):
        source = "".join(source)
    if not isinstance(source, str):
        return None
    source, metadata = _writable(source), _plain_metadata(cell.get("metadata"))
    if cell["cell_type"] == "code":
        return new_code_cell(source, metadata=metadata)
    if cell["cell_type"] == "raw":
        return new_raw_cell(source, metadata=metadata)
    images = _images(cell.get("attachments"))
    if "attachment:" in source and not _can_be_shown(source, images):
        source = source.replace("attachment:", "missing attachment:")
    return new_markdown_cell(source, metadata=metadata, **({"attachments": images} if images else {}))


def _writable(text: str) -> str:
    """Text that is half a surrogate pair can be written in JSON but not in UTF-8."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _plain_metadata(metadata: Any) -> dict[str, Any]:
    """What is used of a cell's metadata: nbgrader's mark, of which RepairMetadata takes the id, and the tags."""
    if not isinstance(metadata, dict):
        return {}
    kept: dict[str, Any] = {}
    mark, tags = metadata.get("nbgrader"), metadata.get("tags")
    if isinstance(mark, dict):
        kept["nbgrader"] = mark
    if isinstance(tags, list) and all(isinstance(tag, str) for tag in tags):
        kept["tags"] = [_writable(tag) for tag in tags]
    return kept


def _kernelspec(metadata: Any) -> dict[str, Any]:
    """What is used of a notebook's metadata, where the course's own notebook names no kernel."""
    spec = metadata.get("kernelspec") if isinstance(metadata, dict) else None
    if not isinstance(spec, dict):
        return {}
    kept = {key: _writable(spec[key]) for key in _KERNELSPEC if isinstance(spec.get(key), str)}
    return {"kernelspec": kept} if {"name", "display_name"} <= set(kept) else {}


def _images(attachments: Any) -> dict[str, dict[str, str]]:
    """The pictures that were pasted into a markdown cell: name, then kind, then base64."""
    kept = {}
    for name, bundle in attachments.items() if isinstance(attachments, dict) else ():
        plain = {k: v for k, v in bundle.items() if _is_image(k, v)} if isinstance(bundle, dict) else {}
        if plain:
            kept[_writable(name)] = plain
    return kept


def _is_image(kind: str, data: Any) -> bool:
    return bool(_IMAGE.fullmatch(kind)) and isinstance(data, str) and bool(_BASE64.fullmatch(data))


def _can_be_shown(source: str, images: dict[str, dict[str, str]]) -> bool:
    """generate_feedback ends in a traceback at a picture that is missing."""
    try:
        MarkdownWithMath(renderer=IPythonRenderer(escape=False, attachments=images)).render(source)
    except InvalidNotebook:
        return False
    return True


class RepairMetadata(NbGraderPreprocessor):
    """Gives every known cell the metadata that the release gave it, and takes it from every unknown one.

    So neither damage nor an edit of the metadata can hide a graded cell or change what it is worth.
    """

    def preprocess(self, nb: NotebookNode, resources: dict[str, Any]) -> tuple[NotebookNode, dict[str, Any]]:
        about = resources["nbgrader"]
        with Gradebook(about["db_url"]) as gradebook:
            try:
                source = gradebook.find_notebook(about["notebook"], about["assignment"])
            except MissingEntry:
                return nb, resources
            graded = {cell.name: cell for cell in source.grade_cells}
            tasks = {cell.name: cell for cell in source.task_cells}
            solutions = {cell.name for cell in source.solution_cells}
            known = {
                cell.name: {
                    "grade_id": cell.name,
                    "grade": cell.name in graded,
                    "solution": cell.name in solutions,
                    "task": cell.name in tasks,
                    "locked": bool(cell.locked),
                    "checksum": cell.checksum,
                    "cell_type": cell.cell_type,
                    "schema_version": SCHEMA_VERSION,
                    **_points(graded.get(cell.name) or tasks.get(cell.name)),
                }
                for cell in source.source_cells
            }
            locked = {cell.name: cell.source for cell in source.source_cells if known[cell.name]["locked"]}
        for cell in nb.cells:
            mark = cell.metadata.pop("nbgrader", None)
            name = mark.get("grade_id") if isinstance(mark, dict) else None
            if isinstance(name, str) and name in known:
                cell.metadata["nbgrader"] = nbformat.from_dict(known[name])
                _set_type(cell, known[name]["cell_type"])
                # What is locked is the author's; nbgrader would warn of every exam that a release has left out.
                cell.source = locked.get(name, cell.source)
        return nb, resources


def _set_type(cell: NotebookNode, cell_type: str) -> None:
    """Give a known cell its type back. nbgrader does it too, but stumbles over pictures, and knows no raw cells."""
    if cell.cell_type == cell_type:
        return
    for key in ("outputs", "execution_count", "attachments"):
        cell.pop(key, None)
    cell.cell_type = cell_type
    if cell_type == "code":
        cell.update(outputs=[], execution_count=None)


def _points(cell: Any) -> dict[str, float]:
    return {"points": float(cell.max_score)} if cell is not None else {}


class RestoreCells(OverwriteCells):
    """nbgrader's OverwriteCells, which also puts missing graded cells back where they stood.

    Stock nbgrader can do it (`add_missing_cells`), but fails where the cell before is missing, too.
    """

    def preprocess(self, nb: NotebookNode, resources: dict[str, Any]) -> tuple[NotebookNode, dict[str, Any]]:
        self.add_missing_cells = True
        for cell in nb.cells:
            if not cell.metadata.get("nbgrader"):  # DeduplicateIds leaves it empty, which OverwriteCells stumbles over
                cell.metadata.pop("nbgrader", None)
        nb, resources = super().preprocess(nb, resources)
        _keep_ids(nb.cells, [cell.get("id") for cell in nb.cells])  # nbgrader puts cells back without one
        return nb, resources

    def add_missing_grade_cells(
        self, nb: NotebookNode, resources: dict[str, Any]
    ) -> tuple[NotebookNode, dict[str, Any]]:
        source = self.gradebook.find_notebook(self.notebook_id, self.assignment_id)
        order = [cell.name for cell in source.source_cells]
        by_name = {cell.name: cell for cell in source.source_cells}
        solutions = {cell.name for cell in source.solution_cells}
        for graded in sorted(source.grade_cells, key=lambda cell: order.index(cell.name)):
            present = [grade_id(cell) for cell in nb.cells]
            if graded.name in present:
                continue
            self.log.warning("The graded cell %s is missing from the submission; it is put back", graded.name)
            cell = self.missing_cell_transform(by_name[graded.name], graded.max_score, graded.name in solutions)
            nb.cells.insert(_where_it_stood(graded.name, order, present), cell)
        return nb, resources


def _where_it_stood(name: str, order: list[str], present: list[str | None]) -> int:
    """After the nearest cell that came before it; else before the nearest that came after; else at the end."""
    at = order.index(name)
    before = [present.index(other) for other in order[:at] if other in present]
    if before:
        return before[-1] + 1
    after = [present.index(other) for other in order[at + 1 :] if other in present]
    return after[0] if after else len(present)
