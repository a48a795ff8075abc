"""What a configuration says of sorting requests: how it is read, and each mistake at its line."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest

from daemon.config.configuration import Configuration
from daemon.config.load import load
from daemon.config.schema import configuration_schema
from daemon.routing.sorting.policy import Canary, Classifier, OverMaxInput, Shadow, Task, Tiers
from state.errors import ConfigError

_BASE = """version = 1
[providers.one]
dialect = "simulated"
models = ["a", "b", "c", "d"]
[workloads.triage]
targets = ["one/a"]
strategy = "priority"
[workloads.chat]
"""
_TIERS = 'strategy = "complexity"\ntiers = { simple = ["one/a"], complex = ["one/b"] }\n'
_TASK = 'targets = ["one/a"]\nstrategy = "task"\ntasks = [ { name = "x", header = "x", targets = ["one/b"] } ]\n'
_PLAIN = 'targets = ["one/a", "one/b"]\n'


def _load(folder: Path, text: str) -> Configuration:
    file = folder / "fairlead.toml"
    file.write_text(text)
    return load((file,), {})


def test_tiers_name_the_targets_where_nothing_else_does(tmp_path: Path) -> None:
    """Law: all of them, the simplest tier's first; with `targets`, in that order."""
    chat = _load(tmp_path, _BASE + _TIERS).workloads["chat"]
    assert chat.targets == ("one/a", "one/b")
    assert chat.tiers == Tiers(simple=("one/a",), complex=("one/b",))
    chat = _load(tmp_path, _BASE + 'targets = ["one/c", "one/b", "one/a"]\n' + _TIERS).workloads["chat"]
    assert chat.targets == ("one/c", "one/b", "one/a")


def test_tasks_bring_targets_of_their_own_and_leave_the_others_to_the_rest(tmp_path: Path) -> None:
    """Law: a target that only a task names is no target of requests without it."""
    chat = _load(tmp_path, _BASE + _TASK).workloads["chat"]
    assert chat.targets == ("one/a", "one/b")
    assert chat.tasks == (Task(name="x", header="x", targets=("one/b",)), Task(name="", targets=("one/a",)))
    chat = _load(tmp_path, _BASE + _TASK.replace('["one/a"]', '["one/a", "one/b"]')).workloads["chat"]
    assert len(chat.tasks) == 1


def test_every_key_is_read(tmp_path: Path) -> None:
    """Law: what is written is what holds, and the schema takes it."""
    text = (
        _BASE
        + _TIERS
        + (
            'classifier = "model"\nclassifier_workload = "triage"\nclassifier_deadline = "300ms"\n'
            'canary = { target = "one/c", share = 0.05 }\n'
            'shadow = { target = "one/d", share = 0.5, max_in_flight = 2, timeout = "9s" }\n'
            'max_input_tokens = 100\nover_max_input = "larger"\nrequire_human_review = true\n'
        )
    )
    chat = _load(tmp_path, text).workloads["chat"]
    assert (chat.classifier, chat.classifier_workload, chat.classifier_deadline) == (Classifier.MODEL, "triage", 0.3)
    assert chat.canary == Canary(target="one/c", share=0.05)
    assert chat.shadow == Shadow(target="one/d", share=0.5, max_in_flight=2, timeout=9)
    assert (chat.over_max_input, chat.require_human_review) == (OverMaxInput.LARGER, True)
    workload = {"canary": {"target": "one/c", "share": 0.5}, "tiers": {"simple": ["one/a"]}, "shadow": {"target": "x"}}
    jsonschema.validate({"version": 1, "workloads": {"chat": workload}}, configuration_schema())


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ('strategy = "priority"\n', 8, "[workloads.chat] lacks the key targets"),
        (_TIERS.replace("one/b", "one/x"), 10, "no provider serves one/x"),
        (_TIERS.replace("simple =", "smple ="), 10, "did you mean simple?"),
        (_TIERS.replace('complex = ["one/b"]', "complex = []"), 10, "targets for simple alone"),
        (_TIERS.replace('["one/a"]', "[]").replace('["one/b"]', "[]"), 10, "targets for none"),
        ('targets = ["one/a"]\n' + _TIERS, 11, "complex names one/b, which targets lacks"),
        (_PLAIN + 'strategy = "complexity"\n', 10, "sorts by tiers, and there are none"),
        (
            _PLAIN + 'tiers = { simple = ["one/a"], complex = ["one/b"] }\n',
            10,
            'only mean something with strategy = "compl',
        ),
        (_TIERS + 'classifier = "modl"\n', 11, "did you mean model?"),
        (_TIERS + 'classifier = "model"\n', 11, "needs a classifier_workload"),
        (_TIERS + 'classifier_workload = "triage"\n', 11, 'only means something with classifier = "model"'),
        (_TIERS + 'classifier = "model"\nclassifier_workload = "triag"\n', 12, "did you mean triage?"),
        (_TIERS + 'classifier = "model"\nclassifier_workload = "chat"\n', 12, "would have to classify the question"),
        (_TIERS + 'classifier = "model"\nclassifier_workload = "triage"\nclassifier_deadline = "0s"\n', 13, "longer"),
        (_PLAIN + 'classifier = "model"\nclassifier_workload = "triage"\n', 10, 'strategy = "complexity"'),
        (_PLAIN + 'strategy = "task"\n', 10, "sorts by tasks, and there are none"),
        (_TASK.replace('strategy = "task"\n', ""), 10, 'only mean something with strategy = "task"'),
        (_TASK.replace('header = "x", ', ""), 11, "the task x has no condition"),
        (_TASK.replace('name = "x"', 'name = ""'), 11, "a task has no name"),
        (_TASK.replace(" ]\n", ', { name = "x", tool = "t", targets = ["one/a"] } ]\n'), 11, "two tasks are called x"),
        (_TASK.replace('header = "x"', "system = '('"), 11, "no regular expression"),
        (_TASK.replace('targets = ["one/b"]', "targets = []"), 11, "the task x names no target"),
        (_TASK.replace(', targets = ["one/b"]', ""), 11, "lacks the key targets"),
        (_TASK.replace("one/b", "one/e"), 11, "no provider serves one/e"),
        (_PLAIN + 'canary = { target = "one/x", share = 0.1 }\n', 10, "no provider serves one/x"),
        (_PLAIN + 'canary = { target = "one/b", share = 0.1 }\n', 10, "would get more than its share"),
        (_PLAIN + 'canary = { target = "one/c", share = 0 }\n', 10, "share is 0; give a share in (0, 1]"),
        (_PLAIN + 'canary = { target = "one/c", share = 1.5 }\n', 10, "share is 1.5"),
        (_PLAIN + 'canary = { target = "one/c" }\n', 10, "lacks the key share"),
        (_PLAIN + 'canary = { target = "one/c", shar = 0.1 }\n', 10, "did you mean share?"),
        (_PLAIN + 'shadow = { target = "one/x" }\n', 10, "no provider serves one/x"),
        (_PLAIN + 'shadow = { target = "one/c", share = 2 }\n', 10, "share is 2"),
        (_PLAIN + 'shadow = { target = "one/c", max_in_flight = 0 }\n', 10, "at least 1"),
        ('targets = ["one/a"]\nshadow = { target = "one/a" }\n', 10, "compared with itself"),
        (_PLAIN + 'over_max_input = "larger"\n', 10, "max_input_tokens, which is not set"),
        (_PLAIN + 'max_input_tokens = 9\nover_max_input = "big"\n', 11, "not one of refuse, larger"),
    ],
)
def test_each_mistake_has_its_line_and_its_words(tmp_path: Path, text: str, line: int, words: str) -> None:
    """Law: whoever made the mistake can mend it from the message."""
    with pytest.raises(ConfigError) as caught:
        _load(tmp_path, _BASE + text)
    assert [each for each in caught.value.problems if f"fairlead.toml:{line}: " in each and words in each], caught.value


@pytest.mark.parametrize("value", ["1", '"x"', "[1]", "{}", "[{ name = 1 }]", "true", '{ target = 1, share = "x" }'])
@pytest.mark.parametrize("key", ["tiers", "tasks", "canary", "shadow", "classifier", "targets"])
def test_whatever_stands_in_a_key_is_a_problem_and_never_a_crash(tmp_path: Path, key: str, value: str) -> None:
    """Law: a value of any shape gets a line and words."""
    text = _BASE + (_PLAIN if key != "targets" else "") + f"{key} = {value}\nstrategy = 'task'\n"
    with pytest.raises(ConfigError):
        _load(tmp_path, text)
