"""A pytest plugin that makes this project's pieces nbgrader's defaults, for nbgrader's own tests.

`pytest -p nbgrader_defaults --pyargs nbgrader.tests.apps.test_nbgrader_autograde`
"""

from pathlib import Path
from typing import Any

from nbgrader.converters import Autograde
from traitlets.config.loader import PyFileConfigLoader
from traitlets.utils.importstring import import_item

CONFIG = Path(__file__).parent.parent / "nbgrader_config.py"

_wanted = PyFileConfigLoader(str(CONFIG)).load_config()["Autograde"]


def _preprocessors(name: str) -> Any:
    return lambda self: [import_item(path) for path in _wanted[name]]


Autograde._sanitize_preprocessors_default = _preprocessors("sanitize_preprocessors")
Autograde._autograde_preprocessors_default = _preprocessors("autograde_preprocessors")
Autograde._exporter_class_default = lambda self: import_item(_wanted["exporter_class"])
