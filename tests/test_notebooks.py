"""autoxla in notebooks: real kernels, driven as nbclient drives them, and IPython itself."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoxla.lookahead import Program, read_program
from autoxla.lookahead.notebook import Cell, Run, Standing, arrange, is_of, name_cell, read_standing
from autoxla.model import Situation
from autoxla.policies import decide
from autoxla.report.story import Explanation, render_html
from programs import Outcome, clean_environment, run

LEGACY = "print(type(tf.keras.optimizers.legacy.Adam(0.1)).__module__.split('.')[0])"
LATE = "restart the kernel and set TF_USE_LEGACY_KERAS=1 in its first cell"
DRIVE = """
import sys
import nbformat
from nbclient import NotebookClient
book = nbformat.read(sys.argv[1], as_version=4)
NotebookClient(book, kernel_name="own", timeout=120, allow_errors=True).execute()
nbformat.write(book, sys.argv[2])
"""


@dataclass(frozen=True)
class Executed:
    """A notebook that was executed: the outputs of each cell."""

    outputs: list[list[Mapping[str, Any]]]

    def out(self, cell: int) -> str:
        return self._stream(cell, "stdout")

    def notices(self, cell: int) -> list[str]:
        lines = self._stream(cell, "stderr").splitlines()
        return [line for line in lines if line.startswith("autoxla:")]

    def error(self, cell: int) -> str:
        return "".join(output["ename"] for output in self.outputs[cell] if output["output_type"] == "error")

    def data(self, cell: int) -> Mapping[str, str]:
        data = next(output["data"] for output in self.outputs[cell] if "data" in output)
        return {kind: _join(text) for kind, text in data.items()}

    def _stream(self, cell: int, name: str) -> str:
        return "".join(_join(o["text"]) for o in self.outputs[cell] if o.get("name") == name)


def _join(text: str | list[str]) -> str:
    # A file has the lines, a kernel the whole.
    return "".join(text)


def write(file: Path, cells: Sequence[str]) -> Path:
    rest: dict[str, object] = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None}
    code = [{**rest, "id": f"c{at}", "source": text} for at, text in enumerate(cells)]
    book = {"cells": code, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    file.write_text(json.dumps(book), encoding="utf-8")
    return file


def kernel_environment(folder: Path, words: Sequence[str]) -> dict[str, str]:
    """Return the variables under which a kernel ``own`` is this interpreter, called with ``words``."""
    place = folder / "jupyter" / "kernels" / "own"
    place.mkdir(parents=True, exist_ok=True)
    spec = {
        "argv": [sys.executable, *words, "-f", "{connection_file}"],
        "display_name": "own",
        "language": "python",
    }
    (place / "kernel.json").write_text(json.dumps(spec), encoding="utf-8")
    own = {"JUPYTER_PATH": str(folder / "jupyter"), "IPYTHONDIR": str(folder / "ipython")}
    return {**own, "JPY_SESSION_NAME": ""}


def execute(
    cells: Sequence[str], folder: Path, kernel: Sequence[str] = ("-m", "ipykernel_launcher"), **variables: str
) -> Executed:
    """Run ``cells`` in a kernel of their own, which is told nothing of any file."""
    # The name is one that nothing looks for: not that of a notebook.
    return execute_file(write(folder / "book.json", cells), kernel, **variables)


def execute_file(
    file: Path, kernel: Sequence[str] = ("-m", "ipykernel_launcher"), **variables: str
) -> Executed:
    """Run the notebook ``file`` in a kernel of its own, as nbclient does."""
    target = file.with_name("executed.json")
    own = {**kernel_environment(file.parent, kernel), **variables}
    done = run(["-c", DRIVE, str(file), str(target)], file.parent, clean_environment(**own))
    assert done.status == 0, done.err
    executed = json.loads(target.read_text(encoding="utf-8"))
    return Executed([cell["outputs"] for cell in executed["cells"]])


# Kernels


@pytest.mark.tensorflow
def test_what_the_same_cell_needs(tmp_path: Path) -> None:
    cell = f"import tensorflow as tf\n{LEGACY}"
    plain = execute([cell], tmp_path)
    assert plain.error(0) == "ImportError"
    done = execute([f"import autoxla\n{cell}", "autoxla.explain()", "print(autoxla.explain())"], tmp_path)
    assert done.out(0) == "tf_keras\n"
    assert "AX112 warning cell 1:3:12:" in done.notices(0)[0]
    assert done.notices(0)[0].endswith("done: set TF_USE_LEGACY_KERAS=1; autoxla.explain()")
    data = done.data(1)
    assert "<table>" in data["text/html"]
    assert "AX112 warning" in data["text/html"]
    assert data["text/plain"] + "\n\n" == done.out(2)


@pytest.mark.tensorflow
def test_what_a_later_cell_of_the_file_needs(tmp_path: Path) -> None:
    cells = ["%load_ext autoxla", "import tensorflow as tf", LEGACY]
    file = write(tmp_path / "train.ipynb", cells)
    done = execute(cells, tmp_path, JPY_SESSION_NAME=str(file))
    assert done.out(2) == "tf_keras\n"
    assert "AX112 warning train.ipynb:cell 3:1:12:" in done.notices(1)[0]


@pytest.mark.tensorflow
def test_a_cell_that_nobody_knew(tmp_path: Path) -> None:
    done = execute(["import autoxla\nimport tensorflow as tf", "x = 1", LEGACY, LEGACY], tmp_path)
    assert [done.notices(at) for at in (0, 1)] == [[], []]
    # It is said before the cell runs, and once.
    assert "AX112 warning cell 3:1:12:" in done.notices(2)[0]
    assert LATE in done.notices(2)[0]
    assert done.error(2) == "ImportError"
    # Each cell that dies of it is told what cures it.
    (cure,) = done.notices(3)
    assert "%env AUTOXLA_KERAS=2 in front of the first cell" in cure


@pytest.mark.tensorflow
def test_autoxla_after_tensorflow(tmp_path: Path) -> None:
    cells = ["import tensorflow as tf", LEGACY, "import autoxla", "print(autoxla.explain())"]
    done = execute(cells, tmp_path)
    assert done.error(1) == "ImportError"
    # That cell failed for want of what is too late now.
    assert "AX112 warning cell 2:1:12:" in done.notices(2)[0]
    assert LATE in done.notices(2)[0]
    assert "cell 3:1 AX111 warning tensorflow was imported before autoxla" in done.out(3)
    assert "restart the kernel and run this cell first" in done.out(3)


@pytest.mark.tensorflow
def test_autoxla_after_tensorflow_where_nothing_is_needed(tmp_path: Path) -> None:
    done = execute(["import tensorflow as tf", "%load_ext autoxla", "tf.keras.layers.Dense(1)"], tmp_path)
    assert [done.notices(at) for at in range(3)] == [[], [], []]


@pytest.mark.tensorflow
def test_active_before_ipython(tmp_path: Path) -> None:
    """The launcher starts the kernel; so autoxla is there before any shell is, as with the site hook."""
    kernel = ("-m", "autoxla", "-m", "ipykernel_launcher")
    cells = ["import tensorflow as tf", LEGACY, "tf.keras.optimizers.legacy.SGD()\nimport tf_keras"]
    file = write(tmp_path / "train.ipynb", cells)
    done = execute(cells, tmp_path, kernel, JPY_SESSION_NAME=str(file))
    assert done.out(1) == "tf_keras\n"
    assert "AX112 warning train.ipynb:cell 2:1:12:" in done.notices(0)[0]


STATE = """
import sys
finders = [type(finder).__name__ for finder in sys.meta_path]
callbacks = get_ipython().events.callbacks
ours = [c for name in ("pre_run_cell", "post_run_cell") for c in callbacks[name] if "autoxla" in repr(c)]
print(len([name for name in finders if name == "AutoxlaFinder"]), len(ours))
"""


def test_hooks_do_not_stack_and_go(tmp_path: Path) -> None:
    cells = [
        *("%load_ext autoxla", STATE, "%load_ext autoxla\n%reload_ext autoxla", STATE),
        *("import autoxla, importlib\nautoxla = importlib.reload(autoxla)", STATE),
        *("%unload_ext autoxla", STATE, "autoxla.explain()", STATE, "%load_ext autoxla", STATE),
        *("autoxla.uninstall()", STATE),
    ]
    done = execute(cells, tmp_path)
    states = [done.out(at) for at, cell in enumerate(cells) if cell == STATE]
    assert states == ["1 2\n", "1 2\n", "1 2\n", "0 0\n", "0 0\n", "1 2\n", "0 0\n"]


def test_off(tmp_path: Path) -> None:
    loaded = "import sys\nprint([name for name in sys.modules if name == 'autoxla.runtime'])"
    done = execute(["%load_ext autoxla", STATE, loaded], tmp_path, AUTOXLA="off")
    assert (done.outputs[0], done.out(1), done.out(2)) == ([], "0 0\n", "[]\n")


def test_a_fault_of_ours_spoils_no_cell(tmp_path: Path) -> None:
    spoil = """
import autoxla
from autoxla.hooks import notebook
def fail(*_):
    raise RuntimeError("injected")
notebook.CellLog._before = notebook.CellLog._after = fail
"""
    done = execute([spoil, "print(1)", "print(2)"], tmp_path)
    assert (done.out(1), done.out(2)) == ("1\n", "2\n")
    said = [line for at in range(3) for line in done.notices(at)]
    assert len(said) == 1
    assert "AX901" in said[0]


# IPython at a terminal


def ipython(folder: Path, *words: str, **variables: str) -> Outcome:
    own = {"IPYTHONDIR": str(folder / "ipython"), **variables}
    options = ("--no-banner", "--colors=NoColor", "--no-confirm-exit", "--simple-prompt")
    return run(["-m", "IPython", *options, *words], folder, clean_environment(**own))


@pytest.mark.tensorflow
def test_ipython_runs_a_script(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(
        f"import autoxla\nimport tensorflow as tf\n{LEGACY}\n", encoding="utf-8"
    )
    outcome = ipython(tmp_path, "train.py")
    assert outcome.out.splitlines()[-1:] == ["tf_keras"], outcome.err


@pytest.mark.tensorflow
def test_a_script_run_from_a_cell(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(f"import tensorflow as tf\n{LEGACY}\n", encoding="utf-8")
    done = execute(["import autoxla", "%run train.py"], tmp_path)
    assert done.out(1) == "tf_keras\n"
    assert "AX112 warning train.py:2:12:" in done.notices(1)[0]


@pytest.mark.tensorflow
def test_cells_of_an_interactive_shell(tmp_path: Path) -> None:
    code = f"""
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance(colors="NoColor")
run = lambda cell: shell.run_cell(cell, store_history=True)
run("%load_ext autoxla")
run("import tensorflow as tf")
run({LEGACY!r})
"""
    outcome = run(["-c", code], tmp_path, clean_environment(IPYTHONDIR=str(tmp_path / "ipython")))
    assert "restart IPython and set TF_USE_LEGACY_KERAS=1 in its first cell" in outcome.notices[0]
    assert "AX112 warning cell 3:1:12:" in outcome.notices[0]


def test_an_explanation_is_shown_without_quotes(tmp_path: Path) -> None:
    code = """
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance(colors="NoColor")
shell.run_cell("import autoxla\\nautoxla.explain()", store_history=True)
"""
    outcome = run(["-c", code], tmp_path, clean_environment(IPYTHONDIR=str(tmp_path / "ipython")))
    assert "autoxla, mode auto\n\nSituation\n  python " in outcome.out


def test_ipython_as_a_library_is_no_notebook(tmp_path: Path) -> None:
    code = (
        "import IPython\nimport autoxla\nfrom autoxla import running\n"
        "print(running.find_shell(), running.name_program())"
    )
    (tmp_path / "tool.py").write_text(code, encoding="utf-8")
    assert run(["tool.py"], tmp_path).out == "None tool.py\n"


WHICH = """
import sys
from pathlib import Path
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
shell.run_cell("import autoxla", store_history=True)
shell.run_cell(sys.argv[1], store_history=True)
shell.run_cell("1 / 0", store_history=False)
from autoxla import running
program = running.running_subject().program
print(Path(program.target or "none").name if running.find_shell() else "none")
"""


def which_file(folder: Path, cell: str, **variables: str) -> str:
    """Return which notebook's file is found by the time when ``cell`` has run behind ``import autoxla``."""
    own = {"IPYTHONDIR": str(folder / "ipython"), "JPY_SESSION_NAME": "", **variables}
    return run(["-c", WHICH, cell], folder, clean_environment(**own)).out.splitlines()[-1]


def test_which_file_is_the_notebooks(tmp_path: Path) -> None:
    file = write(tmp_path / "train.ipynb", ["import autoxla", "x = 1"])
    # Jupyter's server, in its newer and older ways of naming the file.
    assert which_file(tmp_path, "x = 1", JPY_SESSION_NAME=str(file)) == "train.ipynb"
    assert which_file(tmp_path, "x = 1", JPY_SESSION_NAME="project/train.ipynb") == "train.ipynb"
    # The variable of a notebook that started this one.
    assert which_file(tmp_path, "x = 2", JPY_SESSION_NAME=str(file)) == "none"
    # Visual Studio Code names it in the notebook itself, which holds for unsaved cells, too.
    assert which_file(tmp_path, f"__vsc_ipynb_file__ = {str(file)!r}") == "train.ipynb"
    assert which_file(tmp_path, "PAPERMILL_INPUT_PATH = 'train.ipynb'") == "train.ipynb"


IDENTIFIED = """
import sys
from jupyter_client.manager import start_new_kernel
manager, client = start_new_kernel(kernel_name="own")
code = "import autoxla\\nfrom autoxla import running\\nprint(running.running_subject().program.cells)"
content = {"code": code, "silent": False, "store_history": True, "allow_stdin": False}
client.shell_channel.send(client.session.msg("execute_request", content, metadata={"cellId": sys.argv[1]}))
message = {"msg_type": ""}
while message["msg_type"] != "stream":
    message = client.get_iopub_msg(timeout=60)
print(message["content"]["text"])
client.stop_channels()
manager.shutdown_kernel(now=True)
"""


def test_an_edited_cell_is_known_by_its_id(tmp_path: Path) -> None:
    """JupyterLab sends the id of the cell, which is in the file, too."""
    file = write(tmp_path / "train.ipynb", ["import os", "x = 1"])
    own = kernel_environment(tmp_path, ("-m", "ipykernel_launcher"))
    environment = clean_environment(**{**own, "JPY_SESSION_NAME": str(file)})
    known = run(["-c", IDENTIFIED, "c0"], tmp_path, environment)
    assert "Cell(label='train.ipynb:cell 1', text='import autoxla" in known.out, known.err
    assert "Cell(label='train.ipynb:cell 2', text='x = 1', certain=True)" in known.out
    assert (
        "Cell(label='cell 1', text='import autoxla"
        in run(["-c", IDENTIFIED, "c9"], tmp_path, environment).out
    )


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"cells": 1}', b"\xff\xfe"])
def test_a_damaged_file_is_left_out(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "train.ipynb").write_bytes(content)
    assert which_file(tmp_path, "__vsc_ipynb_file__ = 'train.ipynb'") == "none"


# What is read, and in which order


def labels(cells: Sequence[Cell]) -> list[tuple[str, bool]]:
    return [(cell.label, cell.certain) for cell in cells]


FILE = tuple(Standing(number, f"c{number}", f"x = {number}") for number in range(1, 5))


def test_cells_to_come_are_certain_and_cells_passed_over_are_not() -> None:
    ran = [Run(1, "x = 1"), Run(2, "x = 3")]
    assert labels(arrange(ran, FILE, "n.ipynb")) == [
        ("n.ipynb:cell 1", True),
        ("n.ipynb:cell 3", True),
        ("n.ipynb:cell 4", True),
        ("n.ipynb:cell 2", False),
    ]


def test_a_cell_counts_as_it_ran_not_as_it_was_saved() -> None:
    cells = arrange([Run(1, "x = 'edited'", "c1")], FILE[:2], "n.ipynb")
    assert cells == (Cell("n.ipynb:cell 1", "x = 'edited'"), Cell("n.ipynb:cell 2", "x = 2"))


def test_a_new_cell_goes_by_its_execution_count() -> None:
    ran = [Run(1, "x = 1"), Run(2, "y = 1")]
    assert labels(arrange(ran, FILE[:2], "n.ipynb"))[:2] == [("n.ipynb:cell 1", True), ("cell 2", True)]
    assert name_cell(ran[1], FILE, "n.ipynb") == "cell 2"


def test_a_cell_that_failed_is_only_possible_until_it_ran_again() -> None:
    failed = Run(1, "import missing, keras", "c1", failed=True)
    assert labels(arrange([failed, Run(2, "y = 1")], (), ""))[0] == ("cell 1", False)
    again = Run(2, "import keras", "c1")
    assert arrange([failed, again], FILE[:1], "n.ipynb") == (Cell("n.ipynb:cell 1", "import keras"),)


def test_running_a_cell_again_adds_nothing() -> None:
    assert labels(arrange([Run(1, "y = 1"), Run(2, "y = 1")], (), "")) == [("cell 1", True)]


def test_cells_in_other_languages_are_left_out() -> None:
    assert arrange([Run(1, "%%bash\npip list"), Run(2, "%pip list")], (), "") == (Cell("cell 2", "pass"),)


@pytest.mark.parametrize(
    ("ran", "expected"),
    [
        ([Run(1, "x = 1")], True),
        ([Run(1, "other"), Run(2, "x = 2")], True),
        ([Run(1, "x = 1"), Run(2, "other")], False),
        ([Run(1, "other"), Run(2, "another"), Run(3, "x = 1")], False),
        ([Run(1, "edited", "c1")], True),
        ([], False),
    ],
)
def test_whether_a_file_is_this_notebooks(ran: list[Run], expected: bool) -> None:
    assert is_of(ran, FILE) is expected


def read(*cells: Cell) -> dict[str, str]:
    program = Program("cells", "", Path.cwd(), cells=cells)
    return {evidence.name: evidence.grade for evidence in read_program(program, path=[]).evidence}


def test_names_are_shared_and_grades_are_kept() -> None:
    first = Cell("cell 1", "import tensorflow as tf")
    second = Cell("cell 2", "tf.keras.optimizers.legacy.Adam()")
    name = "tensorflow.keras.optimizers.legacy.Adam"
    assert read(first, second)[name] == "certain"
    assert read(first, second._replace(certain=False))[name] == "possible"
    # What a cell imported before it failed is still there.
    assert read(first._replace(certain=False), second)[name] == "certain"


def test_cells_without_a_file_are_never_complete() -> None:
    cells = (Cell("cell 1", "import numpy"),)
    assert not read_program(Program("cells", "", Path.cwd(), cells=cells), path=[]).complete


TEXTS = st.text(st.sampled_from("ab=1 \n%!?'\"\\#"), max_size=12)


@given(
    st.lists(st.builds(Run, st.integers(1, 9), TEXTS, st.sampled_from([None, "a", "b"]), st.booleans())),
    st.lists(TEXTS, max_size=5),
)
def test_every_text_that_can_run_is_read_once(ran: list[Run], saved: list[str]) -> None:
    code = [{"cell_type": "code", "id": "ab"[at % 2], "source": text} for at, text in enumerate(saved)]
    standing = read_standing(json.dumps({"cells": code}).encode())
    texts = [cell.text.strip() for cell in arrange(ran, standing, "n.ipynb")]
    assert len(texts) == len(set(texts))
    assert "" not in texts


# Advice after a restart


@pytest.mark.parametrize(("restart", "said"), [("the kernel", True), (None, False)])
def test_advice_in_a_notebook_only(restart: Any, said: bool) -> None:
    situation = Situation(
        environment={"TF_USE_LEGACY_KERAS": "TRUE"},
        versions={"tensorflow": (2, 21), "keras": (3, 15), "tf-keras": (2, 21)},
        imported=frozenset({"tensorflow"}),
        restart=restart,
    )
    finding = next(finding for finding in decide(situation).findings if finding.code == "AX111")
    assert (finding.remedy == "restart the kernel and run this cell first") is said


def test_no_restart_before_the_import() -> None:
    situation = Situation(
        environment={"TF_USE_LEGACY_KERAS": "TRUE"}, versions={"tensorflow": (2, 21)}, restart="the kernel"
    )
    assert not any("restart" in finding.remedy for finding in decide(situation).findings)


# What Jupyter shows


class Text(HTMLParser):
    """Collects the text of the table's cells, and every tag and attribute."""

    def __init__(self) -> None:
        super().__init__()
        self.cells: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag in ("td", "th", "b"):
            self.cells.append("")

    def handle_data(self, data: str) -> None:
        self.cells[-1] += data


WILD = st.text(st.sampled_from("ab<>&\"'/= script\n") | st.characters(codec="utf-8"), max_size=30)


@given(WILD, st.lists(st.tuples(WILD, WILD), max_size=4), st.lists(st.tuples(WILD, WILD), max_size=4))
def test_all_text_is_escaped(title: str, rows: list[tuple[str, str]], found: list[tuple[str, str]]) -> None:
    parser = Text()
    parser.feed(render_html(title, [("Plan", rows)], found))
    parser.close()
    wanted = [title, "Plan", *(text for row in rows for text in row), "Findings"]
    wanted += [text for row in found or [("none", "")] for text in row]
    assert parser.cells == wanted
    assert parser.tags == {"b", "caption", "table", "tbody", "td", "th", "tr"}
    assert parser.attributes == {"colspan", "style"}


def test_the_table_brings_no_colours() -> None:
    page = render_html("t", [("Plan", [("a", "b")])], [])
    assert re.search(r"color|background|class|#", page) is None


def test_an_explanation_is_a_text() -> None:
    import pickle

    made = Explanation("a\n")
    made.html = "<b>"
    assert (made, made.upper(), pickle.loads(pickle.dumps(made))) == ("a\n", "A\n", "a\n")  # noqa: S301
