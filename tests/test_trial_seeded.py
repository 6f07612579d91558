"""`trial = "seeded"`: the first run of a seeded program measures, and the runs on its record are equal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from programs import Outcome
from test_trial import COMMON, start

pytestmark = pytest.mark.tensorflow

PROGRAM = (
    COMMON
    + """
import hashlib
import numpy as np
keras.utils.set_random_seed(7)

class Noisy(p.Own):
    def train_step(self, batch):
        x, y = batch
        return super().train_step((x + tf.random.uniform(tf.shape(x)), y))

tf = p.tf
kind, epochs = sys.argv[2:4]
drops = [keras.layers.Dropout(0.3)] if kind == "dropout" else []
dense = keras.layers.Dense
layers = [keras.layers.Input((p.WIDTH,)), dense(16, activation="tanh"), *drops, dense(3)]
model = (Noisy if kind == "noise" else keras.Sequential)(layers)
model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
outcome = fit(model, epochs=int(epochs), shuffle=True)
weights = [np.asarray(each) for each in model.get_weights()]
kept = vars(model).get("_autoxla_driver")
end({
    "outcome": outcome,
    "switched_at": kept.entry.get("switched_at") if kept else None,
    "digest": hashlib.sha256(b"".join(each.tobytes() for each in weights)).hexdigest(),
    "weights": [each.ravel().tolist() for each in weights],
    "codes": [f.code for f in current().findings],
})
"""
)


def train(folder: Path, generation: str, kind: str = "dense", epochs: int = 4, **variables: str) -> Any:
    """Run the program; return what it left behind, and its lines."""
    outcome: Outcome = start(folder, PROGRAM, generation, kind, str(epochs), **variables)
    assert outcome.status == 0, outcome.err[-2000:]
    assert outcome.last["faults"] == []
    return {**outcome.last["facts"][0], "lines": outcome.notices}


def change(folder: Path, **facts: object) -> None:
    """Put ``facts`` into the one record: on a busy machine what was measured may be anything."""
    (record,) = (folder / "cache" / "decisions").glob("*.json")
    record.write_text(json.dumps({**json.loads(record.read_text()), **facts}))


@pytest.mark.parametrize(
    ("generation", "kind"), [("keras", "dense"), ("keras", "dropout"), ("tf_keras", "dense")]
)
def test_runs_on_the_record_are_equal(generation: str, kind: str, tmp_path: Path) -> None:
    plain = train(tmp_path, generation, kind)
    assert plain["outcome"].startswith("nothing is switched in a program that is seeded")
    assert plain["lines"] == []
    first = train(tmp_path, generation, kind, AUTOXLA_TRIAL="seeded")
    change(tmp_path, graph_ms=50.0, xla_ms=10.0)
    others = [train(tmp_path, generation, kind, AUTOXLA_TRIAL="seeded") for _ in range(2)]
    assert first["codes"] == ["AX708", "AX701"]
    assert sum("AX708 info fit: this program is seeded" in line for line in first["lines"]) == 1
    for other in others:
        assert other["codes"] == ["AX704"]
        assert other["switched_at"] == 2
        assert other["digest"] == others[0]["digest"] != plain["digest"]
    if kind == "dense":
        for ours, theirs in zip(others[0]["weights"], plain["weights"], strict=True):
            assert ours == pytest.approx(theirs, rel=1e-4, abs=1e-5)


def test_a_record_of_the_plain_graph_leaves_the_program_as_it_is(tmp_path: Path) -> None:
    plain = train(tmp_path, "keras")
    train(tmp_path, "keras", AUTOXLA_TRIAL="seeded")
    change(tmp_path, winner="graph")
    again = train(tmp_path, "keras", AUTOXLA_TRIAL="seeded")
    assert (again["outcome"], again["codes"]) == ("an earlier run found the other path no faster", [])
    assert again["digest"] == plain["digest"]


def test_a_run_that_is_too_short_for_the_record_stays_plain(tmp_path: Path) -> None:
    """The times in the record say so, not the clock of the run."""
    plain = train(tmp_path, "keras", epochs=2)
    train(tmp_path, "keras", AUTOXLA_TRIAL="seeded")
    change(tmp_path, graph_ms=10.0, xla_ms=9.9)
    again = train(tmp_path, "keras", epochs=2, AUTOXLA_TRIAL="seeded")
    assert (again["outcome"], again["codes"], again["digest"]) == (None, [], plain["digest"])


@pytest.mark.parametrize(("generation", "kind"), [("keras", "noise"), ("tf_keras", "dropout")])
def test_what_xla_takes_no_seed_for_stays_plain(generation: str, kind: str, tmp_path: Path) -> None:
    """Dropout of tf_keras draws from a seed of the graph, which XLA does not look at."""
    found = train(tmp_path, generation, kind, AUTOXLA_TRIAL="seeded")
    assert found["outcome"] == "XLA takes no seed for RandomUniform in this seeded program"
    assert found["codes"] == []
    assert found["digest"] == train(tmp_path, generation, kind)["digest"]
