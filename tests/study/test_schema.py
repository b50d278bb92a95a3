from __future__ import annotations

from pathlib import Path

import pytest

from raystilts.errors import UserError
from raystilts.planning.checks import unused_settings, without_unused
from raystilts.planning.cost import results_folder
from raystilts.planning.resolve import load_study
from raystilts.study.schema import Study

GOOD = """
name: s
intermediates: [none, cldr_names]
targets: [{task: cldr_dates, languages: [en, de]}]
seeds: [0, 1]
"""


def read(tmp_path: Path, text: str, *assignments: str) -> Study:
    path = tmp_path / "s.yaml"
    path.write_text(text, encoding="utf-8")
    return load_study(path, assignments)


def refusal(tmp_path: Path, text: str, *assignments: str) -> str:
    """The error of a study file, which must be one line that starts with the file's name."""
    with pytest.raises(UserError) as error:
        read(tmp_path, text, *assignments)
    message = str(error.value)
    assert message.startswith(f"{tmp_path / 's.yaml'}: ")
    assert "\n" not in message
    return message.removeprefix(f"{tmp_path / 's.yaml'}: ")


def test_short_forms(tmp_path: Path) -> None:
    study = read(
        tmp_path,
        """
name: s
intermediates:
  - none
  - mnli
  - {task: squad@de}
  - {tasks: [mnli, squad], masked_lm: {languages: [de, sw]}}
  - {masked_lm: {languages: [de], max_steps: 5}, name: plain}
targets: [xnli, {task: tatoeba, languages: [de]}]
seeds: [3]
intermediate_fractions: [0.25, 1]
target_fractions: {values: [0.1], hold: updates}
""",
    )
    assert [arm.label for arm in study.intermediates] == ["none", "mnli", "squad@de", "mnli+squad+mlm", "plain"]
    assert [arm.is_none for arm in study.intermediates] == [True, False, False, False, False]
    assert study.intermediate_fractions.values == (0.25, 1.0)
    assert study.target_fractions.hold == "updates"
    assert study.compared_fraction == 1.0
    assert Study.model_validate(study.model_dump(mode="json")) == study


def test_assignments_come_last(tmp_path: Path) -> None:
    study = read(tmp_path, GOOD, "seeds=[7]", "hyperparameters.learning_rate=1e-5", "encoder.pooling=mean")
    assert study.seeds == (7,)
    assert study.hyperparameters.learning_rate == 1e-5
    assert study.encoder.pooling == "mean"


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("intermediates=[cldr_nams]", "intermediates.0: task 'cldr_nams' is unknown; did you mean 'cldr_names'"),
        ("targets=[cldr_date]", "targets.0: task 'cldr_date' is unknown; did you mean 'cldr_dates'"),
        ("intermediates=[cldr_match]", "intermediates.0: 'cldr_match' has no training data; it can only be a target"),
        ("intermediates=[null]", "intermediates.0: None is not an intermediate; the arm without one is written: none"),
        ("intermediates=[none, none]", "intermediates: 'none' is given twice; drop one"),
        ("intermediates=[{tasks: [mnli], name: none}]", "intermediates.0: name: 'none'; the arm without"),
        ("intermediates=[{tasks: [], name: base}]", "intermediates.0: name: 'base'; the arm without"),
        ("intermediates=[{tasks: [mnli, mnli]}]", "intermediates.0: a task stands twice in ['mnli', 'mnli']"),
        ("intermediates=[{masked_lm: {languages: [de]}}]", "intermediates.0: masked_lm without a task needs"),
        ("intermediates=[]", "intermediates: Tuple should have at least 1 item"),
        ("targets=[cldr_dates, cldr_dates]", "targets: 'cldr_dates' is given twice"),
        ("targets=[{task: xnli, languages: [false]}]", "targets.0.languages.0: False is not a language code; write it"),
        ("targets=[{task: xnli, languages: [dee]}]", "targets.0.languages: xnli has no 'dee'; did you mean 'de'?"),
        ("targets=[{task: xnli, languages: [de, de]}]", "targets.0.languages: a language is given twice"),
        ("targets=[{task: xnli, langs: [de]}]", "targets.0.langs: no such field; did you mean 'languages'?"),
        ("seed=[0]", "seed: no such field; did you mean 'seeds'?"),
        ("encoder.revison=x", "encoder.revison: no such field; did you mean 'revision'?"),
        ("encoder.pooling=max", "encoder.pooling: Input should be 'first', 'mean' or 'last' (given: 'max')"),
        ("selection=dev", "selection: Input should be 'en_dev' or 'target_dev' (given: 'dev')"),
        ("seeds=[0, 1, 0]", "seeds: 0 is given twice; a seed is one replicate, name each once"),
        ("baseline_seeds=[4, 4]", "baseline_seeds: 4 is given twice"),
        ("seeds=[]", "seeds: Tuple should have at least 1 item"),
        ("seeds=[-1]", "seeds.0: Input should be greater than or equal to 0 (given: -1)"),
        ("intermediate_fractions=[0, 1]", "intermediate_fractions.values.0: Input should be greater than 0 (given: 0)"),
        ("target_fractions=[1.5]", "target_fractions.values.0: Input should be less than or equal to 1 (given: 1.5)"),
        ("intermediate_fractions=[0.5, 0.5]", "intermediate_fractions: a fraction stands twice in [0.5, 0.5]"),
        ("compare_at=0.25", "compare_at is 0.25, but must be one of intermediate_fractions: [1.0]"),
        ("hyperparameters.warmup_ratio=0.1", "hyperparameters: 'warmup_ratio' is not a name here: use warmup_steps"),
        ("hyperparameters.tasks.mnli.lr=1", "hyperparameters.tasks.mnli: 'lr' is not a name here: use learning_rate"),
        (
            "hyperparameters.tasks.mnil.bf16=true",
            "hyperparameters.tasks.mnil: no such task or arm; did you mean 'mnli'",
        ),
        ("hyperparameters.learning_rate=0", "hyperparameters.learning_rate: Input should be greater than 0 (given: 0)"),
        ("resources.by_kind.target.gpu=1", "resources.by_kind.target.gpu: no such field; did you mean 'gpus'?"),
        ("resources=automatic", "resources: 'automatic' is neither auto nor a mapping, such as {cpus: 4, gpus: 0.5}"),
        ("resources.gpus=auto", "resources: to have the share of a GPU picked, give auto: true and leave gpus out"),
        ("resources={auto: true, gpus: 0.5}", "resources: auto picks the share of a GPU; leave gpus out, or auto"),
        ("resources={share: mps}", "resources: share: mps is for stages that share a GPU (given: gpus 0); give"),
        ("resources={share: mps, gpus: 1}", "resources: share: mps is for stages that share a GPU"),
        ("resources={share: both, gpus: 0.5}", "resources.share: Input should be 'time' or 'mps' (given: 'both')"),
        ("task_files=[nope.py]", "task file: 'nope.py' is not a Python file; give a .py file"),
        ("name=a/b", "name: String should match pattern"),
        (f"name={'x' * 300}", "name: String should have at most 80 characters"),
        ("storage_path=''", "storage_path: String should have at least 1 character"),
        ("data_dir=''", "data_dir: String should have at least 1 character"),
        ("seeds=[true]", "seeds: [True] is no number; write one"),
        ("compare_at=true", "compare_at: True is no number; write one"),
        ("resources.cpus=true", "resources.cpus: True is no number; write one"),
        ("hyperparameters.max_steps=true", "hyperparameters.max_steps: True is no number; write one"),
        ("schedule={race: {confidence: true}}", "schedule: race.confidence: True is no number; write one"),
        ("evaluation.eval_steps=.inf", "evaluation.eval_steps: Input should be a finite number (given: inf)"),
        ("evaluation.eval_steps=1e308", "evaluation.eval_steps: Input should be less than or equal to 1"),
        ("schedule={top_two: {gpu_hours: .inf}}", "schedule: top_two.gpu_hours: Input should be a finite number"),
        ("schedule={asha: {reduction_factor: 1.0000001}}", "schedule: asha: grace_period 0.5 and reduction_factor"),
        ("hyperparameters.learning_rate=1e308", "hyperparameters.learning_rate: Input should be less than or equal"),
        ("hyperparameters.num_train_epochs=1e308", "hyperparameters.num_train_epochs: Input should be less than"),
        ("hyperparameters.warmup_steps=.inf", "hyperparameters.warmup_steps: Input should be a finite number"),
        ("hyperparameters.tasks.mnli.adam_epsilon=.inf", "hyperparameters.tasks.mnli.adam_epsilon: Input should be a"),
        ("hyperparameters.from=3", "hyperparameters: from: 3 is no file; name one that a search wrote"),
        ("hyperparameters={from: xlmr.yaml, tasks: [1]}", "hyperparameters: tasks: [1]: expected a mapping"),
        (
            "intermediates=[none, {tasks: [mnli], align: {to: xnli, loss: coral, weight: .inf}}]",
            "intermediates.1.align.weight: Input should be a finite number",
        ),
        ("intermediates=[none, {tasks: [mnli], name: squad}]", "intermediates.1.name: 'squad' is the name of a task"),
        ("targets=[{task: xnli, languages: []}]", "targets.0.languages: Tuple should have at least 1 item"),
        ("targets=[{task: xnli, metric: acuracy}]", "targets.0.metric: xnli: metric: no 'acuracy'; did you mean"),
        ("targets=[mono]", "targets.0: 'mono' cannot be a target; give the task"),
        ("search={num_samples: 1000000000, space: {max_steps: {int: [1, 9]}}}", "search.num_samples: Input should be"),
        (
            "search={sampler: grid, space: {max_steps: {int: [1, 100000000]}}}",
            "search: space: sampler grid has 100,000,000 combinations, of at most 1,000,000",
        ),
        ("search={space: {num_train_epochs: {int: [1, 1000000000000]}}}", "search: space.num_train_epochs: 1000000000"),
    ],
)
def test_errors_name_place_value_and_way_out(tmp_path: Path, assignment: str, message: str) -> None:
    assert refusal(tmp_path, GOOD, assignment).startswith(message)


@pytest.mark.parametrize("place", ["name", "selection", "storage_path", "targets", "schedule", "unknown"])
def test_messages_stay_short_whatever_was_given(tmp_path: Path, place: str) -> None:
    given = f"[{'x' * 10**5}]" if place in ("targets", "schedule") else "x" * 10**5
    with pytest.raises(UserError) as error:
        results_folder(read(tmp_path, GOOD, f"{place}={given}"))
    assert len(str(error.value).removeprefix(f"{tmp_path / 's.yaml'}: ")) <= 300


def test_resources_may_be_picked(tmp_path: Path) -> None:
    assert read(tmp_path, GOOD).resources.auto is False
    for given in ("resources=auto", "resources.auto=true"):
        study = read(tmp_path, GOOD, given)
        assert (study.resources.auto, study.resources.cpus, study.resources.gpus) == (True, 1, 0)
        assert Study.model_validate(study.model_dump(mode="json")) == study
    with_cpus = read(tmp_path, GOOD, "resources={auto: true, cpus: 4, by_kind: {retrieval: {gpus: 1}}}").resources
    assert (with_cpus.cpus, with_cpus.of("retrieval").gpus, with_cpus.of("target").cpus) == (4, 1, 4)


def test_missing_field_and_wrong_shape(tmp_path: Path) -> None:
    assert refusal(tmp_path, GOOD.replace("seeds: [0, 1]\n", "")) == "seeds: Field required"
    assert refusal(tmp_path, "[1, 2]").startswith("expected a mapping with name, intermediates, targets, seeds")


def test_further_problems_are_counted(tmp_path: Path) -> None:
    assert refusal(tmp_path, GOOD, "seeds=[-1]", "selection=dev").endswith("[and 1 more]")


@pytest.mark.parametrize(("eval_steps", "steps", "every"), [(0.25, 100, 25), (0.25, 1, 1), (0.5, 5, 2), (10, 100, 10)])
def test_evaluation_interval(eval_steps: float, steps: int, every: int) -> None:
    study = Study.model_validate(
        {"name": "s", "intermediates": ["none"], "targets": ["cldr_dates"], "seeds": [0],
         "evaluation": {"eval_steps": eval_steps}}
    )  # fmt: skip
    assert study.evaluation.every(steps) == every


OTHERS = GOOD + "hyperparameters: {tasks: {cldr_units: {max_steps: 3}}}\n"


def test_settings_of_what_a_study_does_not_train_are_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path, OTHERS) == (
        "hyperparameters.tasks.cldr_units: this study does not train 'cldr_units'; leave it out, or add it to the "
        "intermediates or targets; did you mean 'cldr_names' or 'cldr_dates'?"
    )
    # Those of a task are not those of its translation.
    other = "intermediates=[none, squad@de]"
    assert unused_settings(read(tmp_path, GOOD, other, "hyperparameters.tasks.squad.max_steps=3")) == ["squad"]


@pytest.mark.parametrize(
    ("intermediates", "name"),
    [
        ("[none, {tasks: [mnli, squad], name: both}]", "both"),
        ("[none, {task: mnli, tuning: lora}]", "mnli"),
        ("[none, mnli, {sequence: [mnli, anli_plus]}]", "anli_plus"),
        ("[none, mnli, {sequence: [mnli, squad]}]", "squad"),
    ],
)
def test_settings_of_parts_of_arms_are_used(tmp_path: Path, intermediates: str, name: str) -> None:
    text = f"name: s\nintermediates: {intermediates}\ntargets: [cldr_dates]\nseeds: [0]\n"
    read(tmp_path, text + f"hyperparameters: {{tasks: {{{name}: {{learning_rate: 1e-4}}}}}}\n")


def test_settings_of_a_training_are_refused_where_a_task_only_gives_its_data(tmp_path: Path) -> None:
    text = "name: s\nintermediates: [none, {tasks: [mnli, squad], name: both}]\ntargets: [tatoeba]\nseeds: [0]\n"
    for name in ("squad", "tatoeba"):
        setting = "hyperparameters: {tasks: {%s: {max_length: 64, %s}}}\n"
        read(tmp_path, text + setting % (name, "learning_rate: null"))
        assert refusal(tmp_path, text + setting % (name, "learning_rate: 1e-4")).startswith(
            f"hyperparameters.tasks.{name}.learning_rate: {name!r} has no training of its own in this study"
        )


def test_a_narrower_study_keeps_what_it_reads(tmp_path: Path) -> None:
    """So `next` writes one that is not refused."""
    text = (
        "name: s\nintermediates: [none, mnli, squad, {tasks: [mnli, squad], name: both}]\ntargets: [xnli]\nseeds: [0]"
    )
    settings = "{mnli: {max_length: 64, learning_rate: 1e-4}, squad: {bf16: true}, xnli: {max_steps: 3}}"
    study = read(tmp_path, f"{text}\nhyperparameters: {{tasks: {settings}}}\n")
    tasks = without_unused(study.model_copy(update={"intermediates": study.intermediates[::3]})).hyperparameters.tasks
    assert {name: one.model_dump(exclude_unset=True) for name, one in tasks.items()} == {
        "mnli": {"max_length": 64}, "xnli": {"max_steps": 3}
    }  # fmt: skip


def test_shared_settings_may_be_of_other_studies_too(tmp_path: Path) -> None:
    (tmp_path / "chosen.yaml").write_text(
        "encoder: raystilts-mini\nstudy: tune\ntasks:\n  cldr_units:\n    values: {learning_rate: 3e-4}\n"
        "    evidence: {metric: f1, score: 0.5, trials: 20}\n"
    )
    study = read(tmp_path, GOOD + f"hyperparameters: {{from: {tmp_path / 'chosen.yaml'}}}\n")
    assert unused_settings(study) == ["cldr_units"]
    # What --set drops of a study keeps its settings in the file.
    assert unused_settings(read(tmp_path, OTHERS, "targets=[cldr_dates]")) == ["cldr_units"]
    assert not without_unused(study).hyperparameters.tasks


def test_study_files_that_ship_are_valid() -> None:
    folder = Path(__file__).parents[2] / "search_spaces"
    names = [load_study(path).name for path in sorted(folder.glob("*.yaml"))]
    assert "quickstart" in names
