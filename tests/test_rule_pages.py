"""The guide to the codes: complete, true, and on disk as it is made."""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from autoxla.commands import migrate, rule
from autoxla.commands.diagnosis.codes import CODES
from autoxla.guide import page_of
from autoxla.guide.__main__ import main as write
from autoxla.guide.book import FAMILIES, PROSE, family_of, make_entries, plain, sentence
from autoxla.guide.entry import Shown
from autoxla.guide.errors import KNOWN
from autoxla.guide.example import FILE, KERAS_3, Followed
from autoxla.guide.render import PARTS, render_all, render_page
from autoxla.guide.told import TOLD
from autoxla.hooks.notes import NOTES, find_note
from autoxla.policies import RULES
from programs import clean_environment, run, run_code

CHECKOUT = Path(__file__).parents[1]
PACKAGE = CHECKOUT / "autoxla"
DOCS = CHECKOUT / "docs"
ENTRIES = make_entries()
EXAMPLES = {code: prose.example for code, prose in PROSE.items()}
REFUSALS = sorted(code for code in TOLD if code.startswith("AX12"))


def sources() -> Iterator[Path]:
    return (file for file in PACKAGE.rglob("*.py") if "guide" not in file.relative_to(PACKAGE).parts)


def codes_in(text: str) -> set[str]:
    return set(re.findall(r"\bAX\d{3}\b", text))


# --- Every code has its page


def test_every_code_of_the_sources_has_a_page_and_no_page_is_of_another() -> None:
    named = set[str]().union(*(codes_in(file.read_text(encoding="utf-8")) for file in sources()))
    assert named == set(ENTRIES)


def test_no_page_names_a_code_that_is_not() -> None:
    assert codes_in("".join(render_all(ENTRIES).values())) == set(ENTRIES)


def test_prose_is_of_the_rules_and_notes() -> None:
    assert set(PROSE) == {rule.code for rule in RULES}
    assert set(KNOWN) == {note.code for note in NOTES}
    assert len(ENTRIES) == len(PROSE) + len(KNOWN) + len(TOLD) + len(CODES)


@pytest.mark.parametrize("code", ENTRIES)
def test_a_page_has_every_part(code: str) -> None:
    page = render_page(ENTRIES[code])
    parts = re.split(r"^## ", page, flags=re.MULTILINE)
    assert parts[0].startswith(f"# {code}: {ENTRIES[code].title}\n")
    assert [part.splitlines()[0] for part in parts[1:]] == [title for title, _ in PARTS]
    assert all(part.split("\n", 1)[1].strip() for part in parts[1:])
    assert "```" in ENTRIES[code].example
    assert "{" not in ENTRIES[code].silence
    assert family_of(code)


def test_no_family_is_without_codes() -> None:
    assert {family_of(code) for code in ENTRIES} == {title for _, title in FAMILIES}


def test_the_pages_on_disk_are_what_is_made() -> None:
    on_disk = {file.name: file.read_text(encoding="utf-8") for file in (DOCS / "rules").iterdir()}
    made = render_all(ENTRIES)
    assert set(on_disk) == set(made)
    stale = [name for name in made if made[name] != on_disk[name]]
    assert stale == [], "run python -m autoxla.guide docs/rules"


def test_the_path_of_a_page_leads_to_it() -> None:
    assert (CHECKOUT / page_of("AX204")).read_text(encoding="utf-8").startswith("# AX204: ")


# --- What stands there is true


@pytest.mark.parametrize("code", EXAMPLES)
def test_the_example_of_a_rule_gives_its_code(code: str) -> None:
    example = EXAMPLES[code]
    assert isinstance(example, Followed)
    assert example.follow(code).message in example.render(code)


def test_explain_gives_the_line_of_an_example(tmp_path: Path) -> None:
    """One of them for real: what the page shows is what the command prints in a process of its own."""
    example = EXAMPLES["AX301"]
    assert isinstance(example, Followed)
    (tmp_path / FILE).write_text(example.program)
    words = ["-m", "autoxla", "explain", FILE]
    outcome = run(words, tmp_path, clean_environment(**example.variables))
    assert outcome.status == 2
    assert example.render("AX301").split("\n…\n")[1].removesuffix("\n```") in outcome.out


def test_an_example_that_does_not_give_its_code_is_told() -> None:
    with pytest.raises(LookupError, match="AX204"):
        Followed("import keras\n", machine=KERAS_3).follow("AX204")


class OpError(Exception):
    """Stands for TensorFlow's own, which has all of its errors below it."""


@pytest.mark.parametrize("code", KNOWN)
def test_a_known_error_gets_the_note_of_its_page(code: str) -> None:
    kind, _, message = KNOWN[code].error.partition(": ")
    notes = [note for note in NOTES if note.code == code and re.search(note.pattern, message)]
    named = {name for note in notes for name in note.types}
    base: type[Exception] = OpError if "OpError" in named else Exception
    parents = {"ModuleNotFoundError": ImportError}
    error = type(kind, (parents.get(kind, base),), {})(message)
    before = ImportError("No module named 'torch'") if notes[0].after else None
    error.__cause__ = before
    try:
        exec("raise error", {"error": error, "__name__": notes[0].within or "train"})  # noqa: S102
    except Exception as raised:  # noqa: BLE001 - any of the known ones
        note = find_note(raised)
    assert note in notes
    assert note.text in ENTRIES[code].example


@pytest.mark.parametrize("code", REFUSALS)
def test_migrate_refuses_the_example(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    example = TOLD[code].example
    assert isinstance(example, Shown)
    command, printed = example.printed.splitlines()
    monkeypatch.chdir(tmp_path)
    Path(FILE).write_text(f"{example.given}\n")
    assert migrate.main(command.split("migrate ")[1].split()) == 1
    assert capsys.readouterr().err.splitlines()[0] == printed


@pytest.mark.tensorflow
@pytest.mark.parametrize("code", ["AX131", "AX132"])
def test_a_mixture_is_told_as_on_its_page(code: str, tmp_path: Path) -> None:
    example = TOLD[code].example
    assert isinstance(example, Shown)
    arrays = "__import__('numpy').ones((8, 4)), __import__('numpy').ones((8, 1))"
    program = example.given.replace(
        "import keras", "import keras, autoxla.hooks.guards as g; g.register()", 1
    )
    outcome = run_code(program.replace("fit(x, y)", f"fit({arrays})"), tmp_path)
    (notice,) = outcome.notices
    printed = example.printed.replace(FILE, "program.py")
    assert notice.rpartition("; python -m")[0] == printed.rpartition("; python -m")[0]


def findings_in_sources() -> Iterator[tuple[str, str]]:
    """Yield code and level of each finding that is made from literals."""
    for file in sources():
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Finding":
                values = [arg.value for arg in node.args[:2] if isinstance(arg, ast.Constant)]
                if len(values) == 2:
                    yield str(values[0]), str(values[1])


def test_levels_are_those_of_the_findings() -> None:
    found = dict(findings_in_sources())
    assert "AX601" in found
    assert {code: ENTRIES[code].level for code in found} == found


# --- The command


def ask(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert rule.main(list(words)) == 0
    return capsys.readouterr().out


def test_a_page(capsys: pytest.CaptureFixture[str]) -> None:
    assert ask(capsys, "ax204") == render_page(ENTRIES["AX204"])


def test_all_codes(capsys: pytest.CaptureFixture[str]) -> None:
    out = ask(capsys)
    assert [line.split()[0] for line in out.splitlines() if line.startswith("  AX")] == list(ENTRIES)


def test_a_family(capsys: pytest.CaptureFixture[str]) -> None:
    out = ask(capsys, "AX2")
    assert out.splitlines()[0] == "Intel's plug-in ITEX"
    assert codes_in(out) == {code for code in ENTRIES if code.startswith("AX2")}


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    (data,) = json.loads(ask(capsys, "--json", "AX163"))
    assert (data["code"], data["level"], data["page"]) == ("AX163", "note", "docs/rules/AX163.md")
    assert "public names" in data["remedy"]


@pytest.mark.parametrize("words", [["AX999"], ["AX2041"], [""], ["--all"], ["AX204", "AX205"]])
def test_bad_words(words: list[str], tmp_path: Path) -> None:
    outcome = run(["-m", "autoxla", "rule", *words], tmp_path)
    assert (outcome.status, outcome.out, len(outcome.err.splitlines())) == (2, "", 1)
    assert outcome.err.startswith("autoxla: AX902 error arguments: ")


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert ask(capsys, "--help").startswith("usage: python -m autoxla rule")


def test_the_launcher_knows_the_command(tmp_path: Path) -> None:
    outcome = run(["-m", "autoxla", "rule", "AX204"], tmp_path)
    assert (outcome.status, outcome.out) == (0, render_page(ENTRIES["AX204"]))


def test_no_rich_gives_markdown(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setitem(sys.modules, "rich.console", None)
    assert ask(capsys, "AX204") == render_page(ENTRIES["AX204"])


def test_a_terminal_gets_it_formatted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("NO_COLOR", "1")
    assert rule.main(["AX204"]) == 0
    shown = capsys.readouterr().out
    assert "AX204" in shown
    assert not any(mark in shown for mark in ("## ", "```", "\x1b["))


# --- The files


def test_pages_are_written_and_old_ones_removed(tmp_path: Path) -> None:
    (tmp_path / "AX000.md").write_text("gone")
    (tmp_path / "mine.md").write_text("kept")
    assert write([str(tmp_path)]) == 0
    assert {file.name for file in tmp_path.iterdir()} == {*render_all(ENTRIES), "mine.md"}


def test_writing_needs_a_folder(tmp_path: Path) -> None:
    outcome = run(["-m", "autoxla.guide", "none"], tmp_path)
    assert (outcome.status, outcome.out, len(outcome.notices)) == (2, "", 1)


def test_text_stays_itself_in_markdown() -> None:
    assert plain("a <b> *c* __d__ tf_keras `<e>`") == r"a \<b> \*c\* \_\_d\_\_ tf_keras `<e>`"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("set it", "Set it."),
        ("pip install x", "pip install x."),
        ("jit_compile=False", "jit_compile=False."),
        ("Done.", "Done."),
    ],
)
def test_a_remedy_is_a_sentence(text: str, expected: str) -> None:
    assert sentence(text) == expected


def test_links_of_the_documentation_lead_somewhere() -> None:
    for file in DOCS.rglob("*.md"):
        links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", file.read_text(encoding="utf-8"))
        assert [link for link in links if not (file.parent / link).exists()] == [], file


def test_every_document_is_in_the_site_and_on_its_first_page() -> None:
    site = (CHECKOUT / "mkdocs.yml").read_text(encoding="utf-8")
    first = (DOCS / "index.md").read_text(encoding="utf-8")
    documents = {file.name for file in DOCS.glob("*.md")} - {"index.md"}
    assert {name for name in documents if f": {name}\n" not in site} == set()
    assert {name for name in documents if f"]({name}" not in first} == set()
