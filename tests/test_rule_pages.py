"""The pages of the codes: complete and true."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from autoxla import commands
from autoxla.commands.rule import (
    PARTS,
    family_of,
    follow,
    make_pages,
    plain,
    read_codes,
    read_told,
    render,
    render_page,
)
from autoxla.hooks import other_generation
from autoxla.hooks.error_hints import find_hint
from autoxla.hooks.known_errors import KNOWN_ERRORS, KnownError
from autoxla.policies import list_rules
from autoxla.policies.rule import FILE, KERAS, Example, Rule
from programs import clean_environment, run, run_code

CHECKOUT = Path(__file__).parents[1]
PACKAGE = CHECKOUT / "autoxla"
DOCS = CHECKOUT / "docs"
PAGES = make_pages()
TOLD = read_codes()
REFUSALS = sorted(code for code in TOLD if code.startswith("AX12"))


def sources() -> Iterator[Path]:
    """Yield the modules that emit codes; ``codes.toml`` only tells of them."""
    return PACKAGE.rglob("*.py")


def codes_in(text: str) -> set[str]:
    return set(re.findall(r"\bAX\d{3}\b", text))


# --- Every code has its page


def test_every_code_of_the_sources_has_a_page_and_no_page_is_of_another() -> None:
    named = set[str]().union(*(codes_in(file.read_text(encoding="utf-8")) for file in sources()))
    assert named | {known.code for known in KNOWN_ERRORS} == set(PAGES)


def test_no_page_names_a_code_that_is_not() -> None:
    assert codes_in("".join(map(render_page, PAGES.values()))) == set(PAGES)


def test_no_code_is_of_two() -> None:
    owned = [rule.code for rule in list_rules()] + [known.code for known in KNOWN_ERRORS]
    owned += list(TOLD)
    assert sorted(owned) == list(PAGES)


@pytest.mark.parametrize("code", PAGES)
def test_a_page_has_every_part(code: str) -> None:
    page = render_page(PAGES[code])
    parts = re.split(r"^## ", page, flags=re.MULTILINE)
    assert parts[0].startswith(f"# {code}: {PAGES[code].title}\n")
    assert [part.splitlines()[0] for part in parts[1:]] == [title for title, _ in PARTS]
    assert all(part.split("\n", 1)[1].strip() for part in parts[1:])
    assert "```" in PAGES[code].example
    assert "{" not in PAGES[code].silence
    assert family_of(code)


def test_no_family_is_without_codes() -> None:
    assert {family_of(code) for code in PAGES} == {each["title"] for each in read_told()["families"]}


# --- What stands there is true


@pytest.mark.parametrize("rule", list_rules(), ids=lambda rule: rule.code)
def test_the_example_of_a_rule_gives_its_code(rule: Rule) -> None:
    finding = follow(rule.example, rule.code)
    assert finding.message in render(rule.example, finding)


def test_explain_gives_the_line_of_an_example(tmp_path: Path) -> None:
    """One of them for real: what the page shows is what the command prints in a process of its own."""
    example = next(rule.example for rule in list_rules() if rule.code == "AX301")
    (tmp_path / FILE).write_text(example.program)
    words = ["-m", "autoxla", "explain", FILE]
    outcome = run(words, tmp_path, clean_environment(**example.variables))
    assert outcome.status == 2
    assert render(example, follow(example, "AX301")).split("\n…\n")[1].removesuffix("\n```") in outcome.out


def test_an_example_that_does_not_give_its_code_is_told() -> None:
    with pytest.raises(LookupError, match="AX204"):
        follow(Example(KERAS, machine="no tf_keras"), "AX204")


class OpError(Exception):
    """Stands for TensorFlow's own, which has all of its errors below it."""


@pytest.mark.parametrize("known", KNOWN_ERRORS, ids=lambda known: known.code)
def test_a_known_error_gets_the_hint_of_its_page(known: KnownError, monkeypatch: pytest.MonkeyPatch) -> None:
    if "{release}" in known.hint:
        versions = {"tensorflow": (2, 21, 0), "tf-keras": (2, 15, 1)}
        monkeypatch.setattr(other_generation, "find_versions", lambda _: versions)
    kind, _, message = known.error.partition(": ")
    signs = [sign for sign in known.signs if re.search(sign.pattern, message)]
    named = {name for sign in signs for name in sign.types}
    base: type[Exception] = OpError if "OpError" in named else Exception
    parents = {"ModuleNotFoundError": ImportError}
    error = type(kind, (parents.get(kind, base),), {})(message)
    error.__cause__ = ImportError("No module named 'torch'") if signs[0].after else None
    try:
        exec("raise error", {"error": error, "__name__": signs[0].within or "train"})  # noqa: S102
    except Exception as raised:  # noqa: BLE001 - any of the known ones
        hint, (ways, _) = find_hint(raised), other_generation.find_ways(raised)
    assert hint is not None
    assert (hint.code, hint.text) == (known.code, signs[0].hint_on(message, ways))
    # The page is for programs that are not known.
    assert signs[0].hint_on(message) in PAGES[known.code].example


@pytest.mark.parametrize("code", REFUSALS)
def test_migrate_refuses_the_example(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    example = TOLD[code]
    command, printed = example["printed"].splitlines()
    monkeypatch.chdir(tmp_path)
    Path(FILE).write_text(f"{example['given']}\n")
    assert commands.run("migrate", command.split("migrate ")[1].split()) == 1
    assert capsys.readouterr().err.splitlines()[0] == printed


@pytest.mark.tensorflow
@pytest.mark.parametrize("code", ["AX131", "AX132"])
def test_a_mixture_is_told_as_on_its_page(code: str, tmp_path: Path) -> None:
    example = TOLD[code]
    arrays = "__import__('numpy').ones((8, 4)), __import__('numpy').ones((8, 1))"
    program = example["given"].replace(
        "import keras",
        "import keras, autoxla.hooks.mixed_models as m; m.register()",
        1,
    )
    outcome = run_code(program.replace("fit(x, y)", f"fit({arrays})"), tmp_path)
    (notice,) = [notice for notice in outcome.notices if notice.startswith(f"autoxla: {code} ")]
    printed = example["printed"].replace(FILE, "program.py")
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
    assert {code: PAGES[code].level for code in found} == found


# --- The command


def ask(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert commands.run("rule", list(words)) == 0
    return capsys.readouterr().out


def test_a_page(capsys: pytest.CaptureFixture[str]) -> None:
    assert ask(capsys, "ax204") == render_page(PAGES["AX204"])


def test_all_codes(capsys: pytest.CaptureFixture[str]) -> None:
    out = ask(capsys)
    assert [line.split()[0] for line in out.splitlines() if line.startswith("  AX")] == list(PAGES)


def test_a_family(capsys: pytest.CaptureFixture[str]) -> None:
    out = ask(capsys, "AX2")
    assert out.splitlines()[0] == "Intel's plug-in ITEX"
    assert codes_in(out) == {code for code in PAGES if code.startswith("AX2")}


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    (data,) = json.loads(ask(capsys, "--json", "AX163"))
    assert (data["code"], data["level"]) == ("AX163", "note")
    assert "public names" in data["remedy"]


@pytest.mark.parametrize("words", [["AX999"], ["AX2041"], [""], ["--all"], ["AX204", "AX205"]])
def test_bad_words(words: list[str], tmp_path: Path) -> None:
    outcome = run(["-m", "autoxla", "rule", *words], tmp_path)
    assert (outcome.status, outcome.out, len(outcome.err.splitlines())) == (2, "", 1)
    assert outcome.err.startswith("autoxla: AX902 error arguments: ")


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        commands.run("rule", ["--help"])
    assert capsys.readouterr().out.startswith("usage: python -m autoxla rule")


def test_the_launcher_knows_the_command(tmp_path: Path) -> None:
    outcome = run(["-m", "autoxla", "rule", "AX204"], tmp_path)
    assert (outcome.status, outcome.out) == (0, render_page(PAGES["AX204"]))


def test_no_rich_gives_markdown(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setitem(sys.modules, "rich.console", None)
    assert ask(capsys, "AX204") == render_page(PAGES["AX204"])


def test_a_terminal_gets_it_formatted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("NO_COLOR", "1")
    assert commands.run("rule", ["AX204"]) == 0
    shown = capsys.readouterr().out
    assert "AX204" in shown
    assert not any(mark in shown for mark in ("## ", "```", "\x1b["))


# --- The files


def test_text_stays_itself_in_markdown() -> None:
    assert plain("a <b> *c* __d__ tf_keras `<e>`") == r"a \<b> \*c\* \_\_d\_\_ tf_keras `<e>`"


MARKDOWN = """\
# About AX112

AX112 and (AX204), not AX000, `AX112` or [AX112](keras.md).

```
AX112
```
"""
LINKED = MARKDOWN.replace("AX112 and (AX204)", "[AX112](rules/AX112.md) and ([AX204](rules/AX204.md))")


def test_codes_in_the_text_of_the_site_lead_to_their_pages() -> None:
    pytest.importorskip("mkdocs")
    spec = importlib.util.spec_from_file_location("mkdocs_hooks", CHECKOUT / "mkdocs_hooks.py")
    assert spec is not None
    assert spec.loader is not None
    hooks = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hooks)
    page = SimpleNamespace(file=SimpleNamespace(src_uri="keras.md"))
    assert hooks.on_page_markdown(MARKDOWN, page=page) == LINKED


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
