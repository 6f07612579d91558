"""The documentation cannot lie: each of its commands is run, and prints what is shown.

A page is followed as a reader does it: in a folder of its own, from the top to the end, with a home of its
own. A Python block is a program; where the paragraph before it ends in a file's name and a colon, it is that
file. A command that stands in no list below is run, so that a page with a command that nobody knows fails.
"""

from __future__ import annotations

import fnmatch
import importlib.util
import inspect
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from pathlib import Path
from typing import Literal

import pytest

from autoxla import policies, runtime
from autoxla.commands import MODULES
from autoxla.commands import run as run_command
from autoxla.commands.parser import split
from autoxla.commands.rule import follow as follow_example
from autoxla.commands.rule import make_pages
from autoxla.model import Hardware, Plan, Plugin, Situation, Tuned, Usage
from autoxla.notice import headline
from autoxla.policies import decide, xla
from autoxla.policies.rule import Rule
from autoxla.settings import read_settings
from autoxla.store import Store
from benchmarks.__main__ import BENCHMARKS, LONG
from documents import Block, Command, drop_log, is_as_shown, read_blocks, read_commands, read_mentions
from installations import build_wheel, install_wheel, make_environment
from itex_model import Machine, Program
from itex_model import run as run_itex
from programs import HOME, clean_environment, run_code
from test_notebooks import execute, execute_file, write

CHECKOUT = Path(__file__).parents[1]
ROOMS = [sorted((CHECKOUT / room).glob("*.md")) for room in ("docs", "qa")]
FILES = [CHECKOUT / "README.md", CHECKOUT / "SECURITY.md", *ROOMS[0], *ROOMS[1]]
PAGES = {str(file.relative_to(CHECKOUT)): file.read_text(encoding="utf-8") for file in FILES}
BLOCKS = {page: read_blocks(text, page) for page, text in PAGES.items()}
LANGUAGES = ("sh", "python", "toml", "diff", "")

#: Commands that no test runs, each with the reason.
NOT_RUN: Mapping[str, str] = {
    "python3 -m venv *": "makes an environment that only the network can fill",
    ". .venv/bin/activate": "is about the environment that is not made",
    "*pip install *": "loads packages from the network",
    "*pytest*": "would start these tests within themselves",
    "ruff *": "the gate runs it",
    "mypy": "the gate runs it",
    "mkdocs build --strict": "the gate runs it",
    "python -m benchmarks*": "takes hours, on a machine with nothing else on it",
    "python benchmarks/*": "takes minutes on a GPU",
    "PYTHONPATH=qa:tests python -m *": "takes up to an hour; test_suites, test_faults … try parts of it",
    "python -m autoxla tune *": "trains for minutes, and the clock decides",
    "python -m autoxla heal *": "runs a program again and again; test_heal has such programs",
}
#: Launchers that may not be here, each replaced by one that starts one worker. Others try the real ones,
#: or the variables that they set: test_mpi, test_env.
STAND_INS = ("mpirun", "srun", "horovodrun", "torchrun")
#: What several pages show, and what leaves nothing behind: it is run once for the same program.
SHARED = ("mpirun *", "srun *", "*examples/digits_cnn.py *")
#: What ends in another status than 0.
STATUS: Mapping[str, int] = {
    "python -m autoxla migrate --to legacy train.py": 1,  # it would change the program
    "TF_XLA_FLAGS=*autojit* doctor *": 1,
}
#: Pages whose Python blocks are no programs; a test of their own is about them.
PIECES = ("docs/own-rule.md", "docs/notebooks.md")
#: Lines of autoxla's that are shown without the command that prints them, by page and code.
TOLD: Mapping[tuple[str, str], str] = {
    ("docs/clusters.md", "AX601"): "test_a_worker_that_differs",
    ("docs/doctor.md", "AX894"): "an environment without Intel's runtime",
    ("docs/migrate.md", "AX124"): "test_migrate_prints_what_is_shown",
    ("docs/notebooks.md", "AX112"): "test_the_notebook",
    ("docs/records.md", "AX914"): "test_cures",
    ("docs/trial.md", "AX707"): "test_waits",
    ("docs/tune.md", "AX705"): "test_the_line_of_a_tuned_program",
}
#: Transcripts of which some lines need what is not here; the lines with these codes are compared.
PARTLY: Mapping[str, tuple[str, ...]] = {
    # Its other lines are about a plug-in and a second TensorFlow.
    "TF_XLA_FLAGS=*autojit* doctor *": ("AX851", "AX112"),
}

TRAIN = """\
import keras
import numpy as np

model = keras.Sequential([keras.layers.Dense(1)])
model.compile("adam", "mse")
model.fit(np.ones((64, 4)), np.ones((64, 1)), epochs=2, verbose=0)
"""
#: Every trial begins at once and ends with XLA: what is shown is a line, not a race.
FORCED = "import trial_parity\n\ntrial_parity.force()\n" + TRAIN.replace("epochs=2", "epochs=20")
LEGACY = "import tensorflow as tf\n\noptimizer = tf.keras.optimizers.legacy.Adam(1e-3)\n"
DOCTORED = """\
import tensorflow as tf

model = tf.keras.Sequential([tf.keras.layers.Dense(1)])
model.compile(optimizer=tf.keras.optimizers.legacy.Adam(), loss="mse")
"""
DECISION = {"program": "train.py", "model": "MobileNetV2", "winner": "graph"}
TIMES = {"graph_ms": 58.7, "xla_ms": 334, "compile_s": 14.4}
LOOP = "import tensorflow as tf\n\n\ndef run(config):\n    print(tf.keras.__name__)\n"
#: What Ray is asked for, and no cluster; test_ray has real ones.
RAY = {
    "ray/__init__.py": """\
def init(runtime_env):
    assert runtime_env["env_vars"]["AUTOXLA_ACTIVE"] == "1"
""",
    "ray/train/__init__.py": """\
class ScalingConfig:
    def __init__(self, num_workers):
        assert num_workers == 2
""",
    "ray/train/tensorflow.py": """\
class TensorflowTrainer:
    def __init__(self, loop, scaling_config):
        self.fit = lambda: loop({})
""",
}
#: Programs that a page names and does not show.
PROGRAMS: Mapping[str, Mapping[str, str]] = {
    "README.md": {"waves.py": FORCED},
    "docs/clusters.md": {"train.py": LEGACY, "train_loop.py": LOOP, **RAY},
    "docs/doctor.md": {"train.py": DOCTORED},
    "docs/old-files.md": {"load.py": "import keras\n"},
    "docs/reports.md": {"package/__main__.py": "import keras\n"},
    "docs/trial.md": {"train.py": FORCED},
}


#: Of `SHARED`, by the command and the program ``train.py``.
OUTCOMES: dict[tuple[str, str], tuple[int, str]] = {}


@dataclass(frozen=True)
class Reader:
    """Somebody who follows a page in ``folder``."""

    folder: Path

    def prepare(self, page: str) -> None:
        """Put there what the page takes for granted."""
        shutil.copytree(CHECKOUT / "examples", self.folder / "examples")
        for name, text in {"train.py": TRAIN, **PROGRAMS.get(page, {})}.items():
            self.write(name, text)
        for name in STAND_INS:
            self.write(f"bin/{name}", '#!/bin/sh\nwhile [ "$1" != python ]; do shift; done\nexec "$@"\n')
            (self.folder / "bin" / name).chmod(0o755)
        Store(self.folder / "home/.cache/autoxla/decisions").write("3f9a" + "0" * 28, {**DECISION, **TIMES})

    def write(self, name: str, text: str) -> None:
        """Write a file, with the folders above it."""
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")

    def run(self, command: str, scratch: Path | None = None) -> tuple[int, str]:
        """Run a command of the shell; return its status and all that it printed."""
        if not any(fnmatch.fnmatch(command, pattern) for pattern in SHARED):
            return self._start(command, scratch)
        key = command, (self.folder / "train.py").read_text(encoding="utf-8")
        if key not in OUTCOMES:
            OUTCOMES[key] = self._start(command, scratch)
        return OUTCOMES[key]

    def _start(self, command: str, scratch: Path | None) -> tuple[int, str]:
        done = subprocess.run(
            ["bash", "-c", command.replace(".venv/bin/", "")],
            cwd=self.folder,
            env=self._environment(scratch),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )
        return done.returncode, done.stdout

    def _environment(self, scratch: Path | None) -> dict[str, str]:
        own = clean_environment(HOME=str(self.folder / "home"), PYTHONUNBUFFERED="1", TERM="dumb")
        python = Path(sys.executable).parent if scratch is None else scratch / "bin"
        own["PATH"] = os.pathsep.join([str(self.folder / "bin"), str(python), own["PATH"]])
        own["PYTHONPATH"] = os.pathsep.join([str(HOME), str(CHECKOUT / "tests")])
        dropped = ["AUTOXLA_CACHE", "TF_CPP_MIN_LOG_LEVEL", "XDG_CACHE_HOME", "NO_COLOR"]
        dropped += [] if scratch is None else ["PYTHONPATH"]
        return {name: value for name, value in own.items() if name not in dropped}


def find(lists: Mapping[str, object], command: str) -> str | None:
    """Return the entry of a list that is about a command."""
    return next((pattern for pattern in lists if fnmatch.fnmatch(command, pattern)), None)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    """Return what makes an environment with autoxla installed, for commands that change it; once."""

    @cache
    def make() -> Path:
        root = tmp_path_factory.mktemp("env")
        make_environment(root)
        install_wheel(root, build_wheel(tmp_path_factory.mktemp("wheel")))
        return root

    return make


# --- Each page, from the top to the end


@pytest.mark.tensorflow
@pytest.mark.parametrize("page", PAGES)
def test_a_page_can_be_followed(page: str, tmp_path: Path, scratch: Callable[[], Path]) -> None:
    reader = Reader(tmp_path)
    reader.prepare(page)
    drifted = [said for block in BLOCKS[page] for said in follow(block, reader, scratch)]
    assert not drifted, "\n\n".join(drifted)


def follow(block: Block, reader: Reader, scratch: Callable[[], Path]) -> list[str]:
    """Do what a block says; return what did not go as it says."""
    if block.file:
        reader.write(block.file, f"{block.text}\n")
    elif block.language == "python" and block.page not in PIECES:
        reader.write("example.py", f"{block.text}\n")
        return attempt(Command(f"{block.page}:{block.line}", "python example.py"), reader, None)
    commands = read_commands(block) if block.language in ("", "sh") else []
    place = scratch() if any("autoxla site" in command.text for command in commands) else None
    return [said for command in commands for said in attempt(command, reader, place)]


def attempt(command: Command, reader: Reader, scratch: Path | None) -> list[str]:
    """Run a command unless a list has it; return what it ended with or printed otherwise than shown."""
    if find(NOT_RUN, command.text):
        return []
    status, output = reader.run(command.text, scratch)
    expected = STATUS.get(find(STATUS, command.text) or "", 0)
    if status != expected:
        return [f"{command.place}: {command.text}: status {status}\n{output}"]
    printed = drop_log(output)
    if command.shown is None or is_as_shown(select(command, command.shown), select(command, printed)):
        return []
    return [f"{command.place}: {command.text} prints\n" + "\n".join(printed)]


def select(command: Command, lines: tuple[str, ...]) -> tuple[str, ...]:
    """Return the lines of a transcript that are compared."""
    codes = PARTLY.get(find(PARTLY, command.text) or "")
    return tuple(line for line in lines if codes is None or any(code in line for code in codes))


# --- Nothing is passed over


def commands() -> list[str]:
    """Return every command of every page."""
    blocks = [block for page in BLOCKS.values() for block in page if block.language in ("", "sh")]
    return [command.text for block in blocks for command in read_commands(block)]


def test_every_block_is_of_a_kind_that_is_looked_at() -> None:
    kinds = {f"{b.page}:{b.line}": b.language for page in BLOCKS.values() for b in page}
    assert {place: kind for place, kind in kinds.items() if kind not in LANGUAGES} == {}


def test_a_command_in_no_list_is_run(tmp_path: Path, scratch: Callable[[], Path]) -> None:
    blocks = read_blocks("```sh\npip install it\nunheard-of --now  # a comment\n```", "page.md")
    (said,) = [line for block in blocks for line in follow(block, Reader(tmp_path), scratch)]
    assert said.startswith("page.md:3: unheard-of --now: status 127")


@pytest.mark.parametrize(("shown", "passes"), [("2.13 ms", True), ("2.13 s", False)])
def test_another_output_is_told(shown: str, passes: bool, tmp_path: Path) -> None:
    (block,) = read_blocks(f"```\n$ echo 'a step in 1.7 ms'; echo b\na step in {shown}\n…\n```", "page.md")
    (command,) = read_commands(block)
    assert (attempt(command, Reader(tmp_path), None) == []) is passes


@pytest.mark.parametrize("entries", [NOT_RUN, STATUS, PARTLY])
def test_no_list_names_what_is_in_no_page(entries: Mapping[str, object]) -> None:
    used = {find(entries, command) for command in commands()}
    assert [pattern for pattern in entries if pattern not in used] == []


def test_lines_that_are_shown_without_their_command_are_known() -> None:
    blocks = [b for page in BLOCKS.values() for b in page if not b.language and not read_commands(b)]
    told = [(b.page, code) for b in blocks for code in re.findall(r"^.*?\b(AX\d{3})\b", b.text)[:1]]
    assert sorted(set(told)) == sorted(TOLD)


def test_the_gate_runs_what_it_is_said_to_run() -> None:
    gate = (CHECKOUT / ".ci" / "run").read_text(encoding="utf-8")
    said = [
        command
        for command in commands()
        if NOT_RUN.get(find(NOT_RUN, command) or "", "").startswith("the gate")
    ]
    assert [command for command in said if command not in gate] == []


def test_extras_that_are_to_be_installed_exist() -> None:
    asked = re.findall(r"(?:autoxla-runtime|'\.)\[([\w,]+)\]", "".join(PAGES.values()))
    text = (CHECKOUT / "pyproject.toml").read_text(encoding="utf-8")
    extras = set(
        re.findall(r"^(\w+) = \[", text.partition("[project.optional-dependencies]")[2], re.MULTILINE)
    )
    assert {name for names in asked for name in names.split(",")} <= extras


# --- Commands that are only named


def mentions() -> list[tuple[str, str, str]]:
    """Return page, module and the words after it, for each ``python -m`` in a page."""
    found = [(page, text) for page, content in PAGES.items() for text in read_mentions(content)]
    return [(page, *re.findall(r"python -m ([\w.]+) ?(.*)", text)[0]) for page, text in found]


@cache
def read_help(command: str) -> str:
    words = [sys.executable, "-m", "autoxla", command, "--help"]
    done = subprocess.run(words, env=clean_environment(), capture_output=True, text=True, check=False)
    return done.stdout


def test_options_that_are_named_exist() -> None:
    """Those of the commands: what stands behind a program is the program's."""
    lines = [(page, rest) for page, module, rest in mentions() if module == "autoxla" and rest]
    named = [(page, *re.sub(r"[][]", "", rest).split()) for page, rest in lines]
    asked = [
        (page, name, option)
        for page, name, *words in named
        if name in MODULES
        for option in options(split(name, words)[0])
    ]
    assert len(asked) > 20
    assert [(page, command, o) for page, command, o in asked if o not in read_help(command)] == []


def options(words: list[str]) -> list[str]:
    return [option for word in words for option in re.findall(r"--[a-z][\w-]*", word)]


def test_codes_that_are_asked_for_exist() -> None:
    asked = re.findall(r"autoxla rule (AX\d+)", "".join(PAGES.values()))
    codes = tuple(make_pages())
    assert asked
    assert [code for code in asked if not any(known.startswith(code) for known in codes)] == []


def test_modules_that_are_named_exist() -> None:
    modules = {module for _, module, _ in mentions() if module.partition(".")[0] in ("autoxla", "benchmarks")}
    assert {"autoxla", "benchmarks"} <= modules
    assert [name for name in modules if importlib.util.find_spec(name) is None] == []


def test_benchmarks_that_are_named_exist() -> None:
    named = [rest.split()[0] for _, module, rest in mentions() if module == "benchmarks" and rest.split()]
    assert "paths" in named
    assert [name for name in named if name not in {*BENCHMARKS, *LONG, "all", "tables", "NAME"}] == []


def test_options_of_the_benchmarks_exist() -> None:
    for page, module, rest in mentions():
        if module.startswith("benchmarks"):
            spec = importlib.util.find_spec(module)
            assert spec is not None
            main = (
                spec.origin
                if not spec.submodule_search_locations
                else f"{spec.submodule_search_locations[0]}/__main__.py"
            )
            source = (
                Path(str(main)).read_text(encoding="utf-8")
                + (CHECKOUT / "benchmarks/__init__.py").read_text()
            )
            assert [o for o in options(rest.split()) if f'"{o}"' not in source] == [], page


@pytest.mark.parametrize("name", ["heal", "tune"])
def test_what_runs_programs_understands_its_arguments(name: str) -> None:
    typed = [c.partition(f"autoxla {name} ")[2] for c in commands() if f"autoxla {name} " in c]
    assert typed
    for words in typed:
        _, program = split(name, words.split())
        assert program[0].endswith((".py", ".ipynb"))


# --- Pieces


@pytest.mark.parametrize("block", [b for p in BLOCKS.values() for b in p if b.language == "toml"])
def test_settings_are_read(block: Block, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(block.text, encoding="utf-8")
    settings, _ = read_settings(tmp_path, {})
    assert settings.places


def test_the_rule_of_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    (rule_text,) = [b.text for b in BLOCKS["docs/own-rule.md"] if b.language == "python"]
    (edit,) = [b.text for b in BLOCKS["docs/own-rule.md"] if b.language == "diff"]
    names = dict(vars(xla))
    exec(rule_text.replace("\nRule(", "\nmade = Rule("), names)  # noqa: S102 - what the page shows
    (rule,) = names["made"]
    assert isinstance(rule, Rule)
    assert rule.code not in make_pages()
    monkeypatch.setattr(xla, "RULES", (*xla.RULES, rule))
    subject = next(each for each in policies.SUBJECTS if each.module == xla.__name__)
    lines = edit.splitlines()
    before = "\n".join(line[1:] for line in lines if line[0] == " ")
    after = "\n".join(line[1:] for line in lines)
    source = inspect.getsource(subject.concerns)
    assert before in source
    names = dict(vars(policies))
    exec(source.replace(before, after), names)  # noqa: S102 - what the page shows
    edited = replace(subject, concerns=names[subject.concerns.__name__])
    subjects = tuple(edited if each is subject else each for each in policies.SUBJECTS)
    monkeypatch.setattr(policies, "SUBJECTS", subjects)
    found = follow_example(rule.example, rule.code)
    assert found.message.startswith("TF_ENABLE_ONEDNN_OPTS='no': ")
    assert found.applied


def test_migrate_prints_what_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    blocks = BLOCKS["docs/migrate.md"]
    program = next(block for block in blocks if block.file == "src/train.py")
    reader = Reader(tmp_path)
    reader.write("src/train.py", f"{program.text}\n")
    reader.write(
        "src/attention.py", "import keras\n\n\ndef attend(scores):\n    return keras.ops.softmax(scores)\n"
    )
    fallback = "try:\n    from tensorflow import keras\nexcept ImportError:\n    import keras\n"
    reader.write("src/compat.py", fallback)
    reader.write("src/old.py", "print 'keras'\n")
    monkeypatch.chdir(tmp_path)
    assert run_command("migrate", ["--to", "legacy", "src"]) == 2
    printed = capsys.readouterr()
    shown = [block.text for block in blocks if block.language == "diff" or "AX124 warning" in block.text]
    assert [text.splitlines() for text in (printed.out, printed.err)] == [text.splitlines() for text in shown]


def test_a_worker_that_differs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in {"AUTOXLA_REPORT": "report.json", "RANK": "0", "WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("autoxla.report.find_differing", lambda *_, **__: ["report.json.worker1"])
    session = runtime.Runtime()
    session.situation = Situation()
    session._compare_workers()
    (finding,) = session.findings
    assert f"autoxla: {headline([finding], 'train.py')}" in PAGES["docs/clusters.md"]


def test_the_line_of_a_tuned_program() -> None:
    tuned = Tuned("xla", "xla", {}, 3.91, "2026-11-21")
    findings = decide(Situation(versions=INSTALLED, tuned=tuned)).findings
    (line,) = [headline([finding], "train.py") for finding in findings if finding.code == "AX705"]
    assert f"\nautoxla: {line}\n" in PAGES["docs/tune.md"]


@pytest.mark.tensorflow
def test_the_program_of_tune_trains(tmp_path: Path) -> None:
    (program,) = [block.text for block in BLOCKS["docs/tune.md"] if block.file == "train.py"]
    done = run_code(program.replace("128_000", "640"), tmp_path)
    assert done.status == 0, done.err
    assert "10/10 - " in done.out


@pytest.mark.tensorflow
def test_the_notebook(tmp_path: Path) -> None:
    """The cells of the page, in a file that is known and in one that is not."""
    cells = [block.text for block in BLOCKS["docs/notebooks.md"] if block.language == "python"]
    file = write(tmp_path / "train.ipynb", cells)
    known = execute_file(file, JPY_SESSION_NAME=str(file))
    unknown = execute([cells[0], "tf.constant(1)", cells[1]], tmp_path)
    assert [known.error(1), known.notices(1), unknown.error(2)] == ["", [], "ImportError"]
    (told,), (late, cure) = known.notices(0), unknown.notices(2)
    assert [line in PAGES["docs/notebooks.md"] for line in (told, late, cure)] == [True, True, True]


# --- The guide, row by row

DISABLE, NPD, FLAGS, LEGACY_KERAS = (
    "ITEX_DISABLE_XLA",
    "ITEX_ENABLE_NEXTPLUGGABLE_DEVICE",
    "TF_XLA_FLAGS",
    "TF_USE_LEGACY_KERAS",
)
ENDS = {"fatal": "SIGABRT", "guard": "status 0", None: "none"}
#: What a cell of the table may be; `any` is all of them.
GENERATIONS: Mapping[str, Literal[0, 2, 3]] = {"none": 0, "2": 2, "3": 3}
JIT: Mapping[str, bool | None] = {"n/a": None, "0": False, "1": True, "left out": None}
XPU = Hardware("present", frozenset({"xpu"}))
INSTALLED = {"tensorflow": (2, 21, 0), "keras": (3, 15, 1), "tf-keras": (2, 21, 0)}


def rows() -> list[list[str]]:
    """Return the cells of the two tables of combinations, a list for each row."""
    lines = [line for line in PAGES["docs/guide.md"].splitlines() if re.match(r"\| \d \|", line)]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [[*first, *second] for first, second in zip(cells[:8], cells[8:], strict=True)]


def each(cell: str, values: tuple[str, ...]) -> tuple[str, ...]:
    return values if cell == "any" else (cell,)


def variants(row: list[str]) -> Iterator[tuple[dict[str, str], Program]]:
    """Yield variables and a program for each combination that a row is about."""
    override, level, keras, npd, jit = row[1:6]
    levels, generations = each(level, ("0", "1", "2")), each(keras, ("none", "2", "3"))
    chosen = (
        each(override, ("0", "1")),
        levels,
        generations,
        each(npd, ("0", "1")),
        each(jit, ("left out", "0", "1")),
    )
    for own, clustering, generation, device, compiled in product(*chosen):
        variables = {NPD: device, "ITEX_OPS_OVERRIDE": own}
        variables |= {FLAGS: f"--tf_xla_auto_jit={clustering}"} if clustering != "0" else {}
        variables |= {LEGACY_KERAS: "1"} if generation == "2" else {}
        yield variables, Program(GENERATIONS[generation], JIT[compiled] if generation != "none" else None)


def plan_for(variables: Mapping[str, str], program: Program) -> Plan:
    usage = Usage(program.keras, program.jit_compile)
    plugins = (Plugin("itex", "libitex_gpu.so"),)
    return decide(
        Situation(environment=variables, versions=INSTALLED, plugins=plugins, hardware=XPU, usage=usage)
    )


def carry_out(plan: Plan, variables: Mapping[str, str], program: Program) -> tuple[dict[str, str], Program]:
    """Return what ITEX meets under a plan."""
    changed: dict[str, str | None] = {**variables, **{s.variable: s.value for s in plan.settings}}
    jit = plan.jit_compile if program.jit_compile is None else program.jit_compile
    return {name: value for name, value in changed.items() if value is not None}, replace(
        program, jit_compile=jit
    )


def test_the_guide_has_eight_rows() -> None:
    assert [(row[0], row[6]) for row in rows()] == [(n, n) for n in "12345678"]


@pytest.mark.parametrize("row", rows(), ids=lambda row: f"row {row[0]}")
def test_a_row_ends_as_the_page_says(row: list[str]) -> None:
    ends = {ENDS[run_itex(variables, program, Machine()).end] for variables, program in variants(row)}
    assert ends == set(row[8].split(" or "))


@pytest.mark.parametrize("row", rows(), ids=lambda row: f"row {row[0]}")
def test_a_row_has_its_code_and_its_setting(row: list[str]) -> None:
    code = re.findall(r"AX\d{3}", row[9])[0]
    made = set()
    for variables, program in variants(row):
        plan = plan_for(variables, program)
        assert code in [finding.code for finding in plan.findings], (variables, program)
        made |= {f"{s.variable}={s.value}" for s in plan.settings if code in s.because}
        end = run_itex(*carry_out(plan, variables, program), Machine()).end
        # Where a layer turns out not to be compiled, autoxla steps in at the call: AX215.
        assert end is None or (end == "guard" and plan.guard)
    assert made == set(re.findall(r"[A-Z_]+=\S+(?=`)", row[10]))
