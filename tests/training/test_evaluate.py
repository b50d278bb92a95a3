from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from raystilts.study.hyperparameters import Hyperparameters
from raystilts.tasks.encoding import Outputs, Ragged, SpanLogits
from raystilts.tasks.registry import get_task
from raystilts.training.data import DataReader
from raystilts.training.encoder import Pretrained
from raystilts.training.evaluate import EvalSet, Readout, evaluate, predict
from raystilts.training.limits import Limits
from raystilts.training.model import Model, build_head

TASKS = ["cldr_names", "cldr_choice", "cldr_span", "cldr_dates", "cldr_match"]


def sets(tiny: Pretrained, name: str) -> list[EvalSet]:
    """Twelve test rows in each of two languages."""
    reader, hp = DataReader(tiny, None), Hyperparameters(max_length=48)
    return [reader.evaluation(get_task(name), "test", language, 12, hp) for language in ("de", "ru")]


def model(tiny: Pretrained, name: str) -> Model:
    task = get_task(name)
    return Model(tiny.model, [build_head(task, tiny, "mean", 3)] if task.requires_training else [])


def readout(tokens: int, layer: int = 1) -> Readout:
    return Readout(head_index=0, layer=layer, pad_id=1, tokens=tokens, bf16=False)


@pytest.mark.parametrize("name", TASKS)
def test_scores_do_not_depend_on_the_batches(tiny: Pretrained, name: str) -> None:
    task, one = get_task(name), model(tiny, name)
    found = [evaluate(one, task, sets(tiny, name), readout(tokens)) for tokens in (1, 300, 4096)]
    assert found[0] == found[1] == found[2]
    together = found[0]
    alone = [evaluate(one, task, [part], readout(300))[0] for part in sets(tiny, name)]
    assert alone == together
    assert all(0 <= value <= 1 for scores in together for value in scores.values())
    assert all(task.main_score in scores for scores in together)


@pytest.mark.parametrize("name", ["cldr_names", "cldr_match"])
def test_outputs_stand_in_the_order_of_the_rows(tiny: Pretrained, name: str) -> None:
    task, one, [first, _] = get_task(name), model(tiny, name), sets(tiny, name)
    whole = predict(one, task, [first.features], readout(4096))[0]
    single = predict(one, task, [first.features], readout(1))[0]
    assert isinstance(whole, np.ndarray)
    assert isinstance(single, np.ndarray)
    np.testing.assert_allclose(whole, single, atol=1e-5)
    assert len(whole) == len(first.features.input_ids)


@pytest.mark.parametrize("name", TASKS)
def test_a_set_has_the_same_outputs_alone_and_together(tiny: Pretrained, name: str) -> None:
    task, one = get_task(name), model(tiny, name)
    features = [part.features for part in sets(tiny, name)]
    together = predict(one, task, features, readout(500))
    for own, part in zip(together, features, strict=True):
        alone = predict(one, task, [part], readout(500))[0]
        for a, b in zip(flat(own), flat(alone), strict=True):
            np.testing.assert_allclose(a, b, atol=1e-5)


def flat(outputs: Outputs) -> list[np.ndarray]:
    """All numbers of outputs of any kind."""
    if isinstance(outputs, SpanLogits):
        return [outputs.start.values, outputs.end.values]
    return [outputs.values if isinstance(outputs, Ragged) else outputs]


def test_a_deadline(tiny: Pretrained) -> None:
    late = Readout(head_index=0, layer=1, pad_id=1, tokens=300, bf16=False, limits=Limits(0.0))
    with pytest.raises(TimeoutError):
        evaluate(model(tiny, "cldr_names"), get_task("cldr_names"), sets(tiny, "cldr_names"), late)


def test_retrieval_reads_the_layer_that_is_asked_for(tiny: Pretrained) -> None:
    task, one, found = get_task("cldr_match"), model(tiny, "cldr_match"), sets(tiny, "cldr_match")
    vectors = [predict(one, task, [found[0].features], readout(4096, layer))[0] for layer in (0, 1, 2, -1)]
    assert np.array_equal(vectors[2], vectors[3])  # type: ignore[arg-type]
    assert not np.allclose(vectors[1], vectors[2])  # type: ignore[arg-type]


def test_retrieval_pools_as_it_is_asked_to(tiny: Pretrained) -> None:
    task, one, found = get_task("cldr_match"), model(tiny, "cldr_match"), sets(tiny, "cldr_match")
    mean, first = (
        predict(one, task, [found[0].features], replace(readout(4096), pooling=pooling))[0]
        for pooling in ("mean", "first")
    )
    states = predict(one, task, [found[0].features], readout(1))[0]
    assert np.allclose(mean, states, atol=1e-5)  # type: ignore[arg-type]
    assert not np.allclose(mean, first)  # type: ignore[arg-type]
