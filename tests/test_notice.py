"""Notices: on stderr, or in the log of a program that keeps one."""

from __future__ import annotations

from pathlib import Path

import pytest

from programs import Outcome, run_code

SAY = "from autoxla.notice import notify\nnotify('AX103 {level} environment: text; remedy')\n"
LINE = "AX103 warning environment: text; remedy"


def say(folder: Path, before: str = "", level: str = "warning") -> Outcome:
    return run_code(f"import sys\n{before}\n{SAY.format(level=level)}", folder)


def test_stderr_where_there_is_no_log(tmp_path: Path) -> None:
    assert say(tmp_path).err == f"autoxla: {LINE}\n"


def test_logging_is_not_imported(tmp_path: Path) -> None:
    outcome = run_code(f"{SAY.format(level='info')}import sys\nprint('logging' in sys.modules)", tmp_path)
    assert outcome.out == "False\n"


def test_stderr_where_logging_is_only_imported(tmp_path: Path) -> None:
    assert say(tmp_path, "import logging").err == f"autoxla: {LINE}\n"


@pytest.mark.parametrize(
    ("level", "name"), [("error", "ERROR"), ("warning", "WARNING"), ("info", "WARNING"), ("no", "WARNING")]
)
def test_the_root_logger_gets_it_at_its_level(level: str, name: str, tmp_path: Path) -> None:
    setup = "import logging\nlogging.basicConfig(level=1, format='%(name)s|%(levelname)s|%(message)s')"
    said = LINE.replace("warning", level)
    assert say(tmp_path, setup, level).err == f"autoxla|{name}|{said}\n"


def test_what_was_changed_is_said_at_the_default_level(tmp_path: Path) -> None:
    """A bare ``basicConfig()`` shows warnings; a program that wants fewer says so."""
    assert (
        LINE.replace("warning", "info") in say(tmp_path, "import logging\nlogging.basicConfig()", "info").err
    )
    quiet = "import logging\nlogging.basicConfig(level=logging.ERROR)"
    assert say(tmp_path, quiet, "info").err == ""


def test_the_logger_of_ours_gets_it(tmp_path: Path) -> None:
    setup = "import logging\nlogging.getLogger('autoxla').addHandler(logging.StreamHandler(sys.stdout))"
    outcome = say(tmp_path, setup)
    assert (outcome.out, outcome.err) == (f"{LINE}\n", "")


def test_a_broken_log_is_no_reason_to_keep_quiet(tmp_path: Path) -> None:
    setup = """
import logging
def fail(record):
    raise RuntimeError("injected")
logging.basicConfig()
logging.getLogger("autoxla").addFilter(fail)
"""
    assert say(tmp_path, setup).err == f"autoxla: {LINE}\n"


def test_a_percent_sign_is_text(tmp_path: Path) -> None:
    code = "import logging\nlogging.basicConfig(format='%(message)s')\n"
    code += "from autoxla.notice import notify\nnotify('AX1 error %s: 100 %d')\n"
    assert run_code(code, tmp_path).err == "AX1 error %s: 100 %d\n"


def test_a_closed_stderr(tmp_path: Path) -> None:
    outcome = say(tmp_path, "sys.stderr.close()")
    assert (outcome.status, outcome.err) == (0, "")


def test_the_log_of_a_program_gets_the_notice_of_its_plan(tmp_path: Path) -> None:
    (tmp_path / "tensorflow.py").write_text("", encoding="utf-8")
    code = (
        "import logging, autoxla\nlogging.basicConfig(format='%(levelname)s %(name)s')\nimport tensorflow\n"
    )
    outcome = run_code(code, tmp_path, TF_USE_LEGACY_KERAS="yes")
    assert outcome.err == "WARNING autoxla\n"


def test_commands_say_it_on_stderr(tmp_path: Path) -> None:
    code = "import logging\nlogging.basicConfig()\nfrom autoxla.notice import say\nsay('AX902 error x: y')\n"
    assert run_code(code, tmp_path).err == "autoxla: AX902 error x: y\n"
