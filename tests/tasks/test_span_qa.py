from __future__ import annotations

import random
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from tokenizers import Tokenizer

from raystilts.tasks.encoding import Features, Ragged, SpanLogits
from raystilts.tasks.registry import get_task
from raystilts.tasks.types.span_qa import SpanQA

HINT = "; allowed: text == context[start:start + len(text)]; a source's converter answers_in_place moves them"


def table(context: str, answers: list[tuple[str, int]], question: str = "the token") -> pa.Table:
    """One row an answer, all about one context."""
    return pa.table(
        {
            "question": [question] * len(answers),
            "context": [context] * len(answers),
            "answers": [{"text": [text], "answer_start": [start]} for text, start in answers],
        }
    )


def gold_logits(features: Features) -> SpanLogits:
    """Scores of a model that is sure of the labels."""
    assert features.labels is not None
    start, end = (np.zeros(len(features.input_ids.values), dtype=np.float32) for _ in range(2))
    for offset, (first, last) in zip(features.input_ids.offsets, features.labels, strict=False):
        if last > 0:
            start[offset + first] = end[offset + last] = 9
    return SpanLogits(Ragged(start, features.input_ids.offsets), Ragged(end, features.input_ids.offsets))


def round_trip(task: SpanQA, rows: pa.Table, tokenizer: Any, max_length: int) -> list[str]:
    """What is predicted if the model is sure of the training labels."""
    gold = gold_logits(task.encode(rows, tokenizer, max_length=max_length, training=True))
    features = task.encode(rows, tokenizer, max_length=max_length, training=False)
    return task.predict(gold, features, rows)


def cuts(text: str, number: int, longest: int) -> list[tuple[str, int]]:
    """Random stretches of a text that do not begin or end with white space or a combining mark."""
    draw = random.Random(0)
    found: list[tuple[str, int]] = []
    while len(found) < number:
        start = draw.randrange(len(text) - longest)
        said = text[start : start + draw.randint(1, longest)]
        after = text[start + len(said)]
        if said == said.strip() and said[0].isalnum() and (after.isalnum() or after.isspace()):
            found.append((said, start))
    return found


CONTEXTS = {
    "en": "the cat is in a token of the xyz and it jumped, erring  here\nand there; (quoted) words. " * 8,
    "zh": "我们在中国的大学，有一个人说：《你们要去那里》。他不是我家的，也不是你和他的年下子。 " * 8,
    "ar": "هذا الكتاب في البيت، والطالب يقرأ كتابه كل يوم في المدرسة الكبيرة. " * 8,
    "hi": "यह किताब घर में है और विद्यार्थी हर दिन पढता हुआ बडे विद्यालय जाता है। " * 8,
    "th": "น้องไปโรงเรียนทุกวันและอ่านหนังสือที่บ้านกับครอบครัว คำนี้ยาวมาก " * 8,
    "mixed": "ﬁle ①②③ 😀 emoji is here 🏳️ and café, of 中国 the ﷺ token 𝒳 in math. " * 8,
}


@pytest.mark.parametrize("language", ["en", "zh", "ar", "hi"])
@pytest.mark.parametrize("max_length", [48, 96, 512])
def test_answers_come_back_exactly(tiny_tokenizer: Any, language: str, max_length: int) -> None:
    context = CONTEXTS[language]
    rows = table(context, cuts(context, 60, 12))
    task = SpanQA(stride=24)
    predictions = round_trip(task, rows, tiny_tokenizer, max_length)
    golds = [answer["text"][0] for answer in rows["answers"].to_pylist()]
    # A token of several letters ("the", "ing") cannot be split: the prediction may be wider by less than a token.
    wide = [(p, g) for p, g in zip(predictions, golds, strict=True) if p != g]
    assert all(gold in said and len(said) - len(gold) <= 8 for said, gold in wide)
    assert len(wide) <= (20 if language == "en" else 0)


@pytest.mark.parametrize("language", ["th", "mixed"])
def test_normalised_characters_map_back(tiny_tokenizer: Any, language: str) -> None:
    context = CONTEXTS[language]
    rows = table(context, cuts(context, 60, 12))
    predictions = round_trip(SpanQA(stride=24), rows, tiny_tokenizer, 96)
    for said, answer in zip(predictions, rows["answers"].to_pylist(), strict=True):
        assert said in context
        assert answer["text"][0] in said
        assert len(said) - len(answer["text"][0]) <= 5  # "token" is one token


def test_answer_beyond_the_first_window(tiny_tokenizer: Any) -> None:
    context = "中" * 100 + "国家" + "中" * 20
    rows = table(context, [("国家", 100)], question="a")
    task = SpanQA(stride=8)
    features = task.encode(rows, tiny_tokenizer, max_length=32, training=True)
    assert features.labels is not None
    assert features.input_ids.lengths.max() == 32
    assert set(features.example.tolist()) == {0}
    inside = [window for window, (_, last) in enumerate(features.labels) if last > 0]
    assert 0 not in inside
    assert inside
    for window, (first, last) in enumerate(features.labels):
        found = tiny_tokenizer.convert_ids_to_tokens(features.input_ids[window][first : last + 1].tolist())
        assert found == (["国", "家"] if window in inside else ["<s>"])
    assert round_trip(task, rows, tiny_tokenizer, 32) == ["国家"]


def test_windows_cover_the_context_and_share_the_stride(tiny_tokenizer: Any) -> None:
    rows = table("中" * 100, [("中", 0)], question="a")
    features = SpanQA(stride=8).encode(rows, tiny_tokenizer, max_length=32, training=False)
    assert features.char_spans is not None
    windows = [spans[spans[:, 1].astype(int) > 0] for spans in features.char_spans]
    assert (windows[0][0, 0], windows[0][-1, 1]) == (0, 26)
    assert windows[-1][-1, 1] == 100
    for left, right in pairwise(windows):
        assert left[-1, 1] - right[0, 0] == 8
    assert all((spans[:2] == -1).all() and (spans[-1] == -1).all() for spans in features.char_spans)


def test_stride_gives_way_to_short_windows(tiny_tokenizer: Any) -> None:
    rows = table("中" * 50, [("中", 49)], question="a")
    features = SpanQA(stride=128).encode(rows, tiny_tokenizer, max_length=16, training=False)
    assert len(features.input_ids) < 20


def test_long_questions_leave_room_for_the_context(tiny_tokenizer: Any) -> None:
    rows = table("中国", [("国", 1)], question="那" * 500)
    features = SpanQA().encode(rows, tiny_tokenizer, max_length=32, training=True)
    assert features.labels is not None
    assert features.input_ids.lengths.tolist() == [4 + 14 + 3]
    assert round_trip(SpanQA(), rows, tiny_tokenizer, 32) == ["国"]


def test_best_pair_is_not_too_long_and_not_reversed(tiny_tokenizer: Any) -> None:
    rows = table("中国人我在有他这", [("中", 0)], question="a")
    task = SpanQA(max_answer_length=3)
    features = task.encode(rows, tiny_tokenizer, max_length=64, training=False)
    start, end = (np.zeros(len(features.input_ids.values), dtype=np.float32) for _ in range(2))
    context = len(features.input_ids.values) - 9
    start[context + 1], start[context + 4], end[context + 6], end[context] = 5, 4, 5, 6
    logits = SpanLogits(Ragged(start, features.input_ids.offsets), Ragged(end, features.input_ids.offsets))
    assert task.predict(logits, features, rows) == ["在有他"]  # 4..6; 1..6 is too long, 1..0 is reversed


def test_question_tokens_are_never_answers(tiny_tokenizer: Any) -> None:
    rows = table("中国", [("国", 1)], question="那要")
    task = SpanQA()
    features = task.encode(rows, tiny_tokenizer, max_length=64, training=False)
    scores = np.full(len(features.input_ids.values), 9, dtype=np.float32)
    scores[-4:-1] = [-9, -5, -4]  # the space before the context, and its two characters
    logits = SpanLogits(Ragged(scores, features.input_ids.offsets), Ragged(scores, features.input_ids.offsets))
    assert task.predict(logits, features, rows) == ["国"]


def test_nan_scores_give_an_answer_and_no_crash(tiny_tokenizer: Any) -> None:
    rows = table("中国", [("国", 1)])
    features = SpanQA().encode(rows, tiny_tokenizer, max_length=64, training=False)
    nan = Ragged(np.full(len(features.input_ids.values), np.nan, dtype=np.float32), features.input_ids.offsets)
    (answer,) = SpanQA().predict(SpanLogits(nan, nan), features, rows)
    assert answer in "中国"


def test_no_answer_wins_where_the_first_token_does(tiny_tokenizer: Any) -> None:
    rows = table("中国", [("国", 1), ("国", 1)])
    task = SpanQA(no_answer=True)
    features = task.encode(rows, tiny_tokenizer, max_length=64, training=False)
    scores = np.zeros(len(features.input_ids.values), dtype=np.float32)
    scores[features.input_ids.offsets[1]] = 3
    logits = SpanLogits(Ragged(scores, features.input_ids.offsets), Ragged(scores, features.input_ids.offsets))
    assert task.predict(logits, features, rows) == ["中", ""]


def test_unanswerable_rows_train_towards_the_first_token(tiny_tokenizer: Any) -> None:
    rows = pa.table({"question": ["a"], "context": ["中国"], "answers": [{"text": ["国"], "answer_start": [1]}]})
    empty = pa.table({"question": ["a"], "context": ["中"], "answers": [{"text": [], "answer_start": []}]})
    both = pa.concat_tables([rows, empty.cast(rows.schema)])
    features = SpanQA(no_answer=True).encode(both, tiny_tokenizer, max_length=64, training=True)
    assert features.labels is not None
    assert features.labels[1].tolist() == [0, 0]
    assert SpanQA(no_answer=True).score(["国", ""], both, "en")["em_f1"] == 1.0
    allowed = "allowed: an answer in every row, or SpanQA(no_answer=True)"
    assert list(map(str, SpanQA().check(both, "en"))) == [f"no answer in 1 row (1): []; {allowed}"]
    assert SpanQA(no_answer=True).check(both, "en") == []


def questions(*answers: tuple[list[str], list[int]], context: str = "Rollo led the Normans.") -> pa.Table:
    """Rows about one context, with any number of answers each."""
    kind = pa.struct([("text", pa.list_(pa.string())), ("answer_start", pa.list_(pa.int32()))])
    given = pa.array([{"text": text, "answer_start": start} for text, start in answers], kind)
    number = len(answers)
    return pa.table({"question": ["who?"] * number, "context": [context] * number, "answers": given})


def test_squad_v2_scores_by_whether_there_is_an_answer() -> None:
    rows = questions((["Rollo", "the Normans"], [0, 10]), (["Rollo"], [0]), ([], []), ([], []))
    scores = SpanQA(no_answer=True).score(["the Normans", "", "", "Rollo led"], rows, "en")
    # Answered: one exact of two. Unanswerable: one of two; any answer there has F1 0, and so has "" where there is one.
    assert scores == {
        "exact_match": 0.5, "f1": 0.5, "em_f1": 0.5, "HasAns_exact": 0.5, "HasAns_f1": 0.5,
        "NoAns_exact": 0.5, "NoAns_f1": 0.5,
    }  # fmt: skip
    assert set(SpanQA(no_answer=True).score([""], questions(([], [])), "en")) == {
        "exact_match", "f1", "em_f1", "NoAns_exact", "NoAns_f1",
    }  # fmt: skip
    assert SpanQA(no_answer=True).constant_predictions(rows) == [["", "", "", ""]]
    assert SpanQA().constant_predictions(rows) == []


@pytest.mark.parametrize(("threshold", "expected"), [(-4.5, ""), (-3.0, ""), (0.0, ""), (2.5, ""), (3.5, "中国")])
def test_no_answer_needs_a_lead_of_the_threshold(tiny_tokenizer: Any, threshold: float, expected: str) -> None:
    rows = table("中国", [("中国", 0)])
    task = SpanQA(no_answer=True, null_threshold=threshold)
    features = task.encode(rows, tiny_tokenizer, max_length=64, training=False)
    start, end = (np.zeros(len(features.input_ids.values), dtype=np.float32) for _ in range(2))
    start[-3], end[-2] = 2, 1  # the answer has 3, none has 6: a lead of 3
    start[0], end[0] = 4, 2
    logits = SpanLogits(Ragged(start, features.input_ids.offsets), Ragged(end, features.input_ids.offsets))
    assert task.predict(logits, features, rows) == [expected]


def test_answers_that_are_no_span_count_as_wrong_and_are_told_apart(tiny_tokenizer: Any) -> None:
    task = SpanQA(spanless=True)
    rows = questions((["Rollo"], [0]), (["yes"], [-1]))
    assert task.score(["Rollo", "Rollo"], rows, "yo")["em_f1"] == 0.5
    assert task.score(["Rollo", "Rollo"], rows, "yo")["span_em_f1"] == 1.0
    assert task.score(["Rollo", "yes"], rows, "yo")["em_f1"] == 1.0
    assert task.check(rows, "yo") == []
    assert list(map(str, SpanQA().check(rows, "yo"))) == [f"answer not at its place in 1 row (1): 'yes' at -1{HINT}"]
    (fault,) = task.check(questions((["Rolf"], [0])), "yo")
    assert str(fault) == f"answer not at its place in 1 row (0): 'Rolf' at 0, where 'Roll' is{HINT}"
    empty = questions((["Rollo"], [-1]), context="")
    assert task.check(empty, "yo") == []
    features = task.encode(empty, tiny_tokenizer, max_length=64, training=False)
    zeros = Ragged(np.zeros(len(features.input_ids.values), dtype=np.float32), features.input_ids.offsets)
    assert task.predict(SpanLogits(zeros, zeros), features, empty) == [""]


def test_new_settings_leave_the_definition_of_other_tasks_as_it_was() -> None:
    assert not {"null_threshold", "spanless"} & set(SpanQA().model_dump(mode="json"))
    tuned = SpanQA(no_answer=True, null_threshold=1.5, spanless=True)
    assert SpanQA.model_validate_json(tuned.model_dump_json()) == tuned


REAL = {
    "zh": "北京大学创办于1898年，初名京师大学堂，是中国近代第一所国立大学。辛亥革命后，于1912年改为现名。",
    "ar": "القاهرة هي عاصمة جمهورية مصر العربية وأكبر مدنها، وتقع على ضفاف نهر النيل؛ أسسها جوهر الصقلي عام 969م.",
    "hi": "दिल्ली भारत की राजधानी है। यह यमुना नदी के किनारे स्थित है और इसकी जनसंख्या लगभग 1.1 करोड़ है।",
    "th": "กรุงเทพมหานครเป็นเมืองหลวงของประเทศไทย ตั้งอยู่บนแม่น้ำเจ้าพระยา มีประชากรประมาณแปดล้านคนในปี 2562",
}
SAID = {
    "zh": ["京师大学堂", "1912年"],
    "ar": ["نهر النيل", "جوهر الصقلي"],
    "hi": ["यमुना नदी", "1.1 करोड़"],
    "th": ["ประเทศไทย", "แม่น้ำเจ้าพระยา"],
}


@pytest.fixture(scope="module")
def real_tokenizer() -> Any:
    """The embedded encoder's."""
    from raystilts import encoders

    return Tokenizer.from_file(str(Path(encoders.__path__[0]) / "mini" / "tokenizer.json"))


@pytest.mark.parametrize("language", list(REAL))
def test_an_answer_beyond_the_first_window_is_found_in_the_original_text(real_tokenizer: Any, language: str) -> None:
    """Its place is a place in characters: what stands before it is repeated until the first window is full."""
    before = REAL[language] * 6
    context = f"{before} {REAL[language]}"
    task = SpanQA(stride=32)
    rows = table(context, [(said, context.rindex(said)) for said in SAID[language]], question=REAL[language][:12])
    features = task.encode(rows, real_tokenizer, max_length=96, training=True)
    assert features.labels is not None
    first = np.searchsorted(features.example, np.arange(len(SAID[language])))
    assert (features.labels[first] == 0).all()  # not in the first window of either question
    assert len(features.example) >= 3 * len(SAID[language])
    spans = task.encode(rows, real_tokenizer, max_length=96, training=False).char_spans
    assert spans is not None
    found = task.predict(gold_logits(features), task.encode(rows, real_tokenizer, max_length=96, training=False), rows)
    assert found == SAID[language]
    for row, wanted in enumerate(SAID[language]):
        own = np.flatnonzero((features.example == row) & (features.labels[:, 1] > 0))
        starts = {int(spans[int(at)][features.labels[at, 0]][0]) for at in own}
        assert starts == {context.rindex(wanted)}  # the same place in the original, whichever window it is seen in


@pytest.mark.parametrize("name", ["xquad", "tydiqa", "mlqa"])
def test_real_answers_map_back(name: str, data_dir: Path, real_tokenizer: Any) -> None:
    """Answers of real data in Chinese, Arabic, Hindi and Thai, cut into windows of 96 sub-words."""
    task = get_task(name)
    for language in {"zh", "ar", "hi", "th"} & set(task.languages):
        rows = task.type.sample(task.load_test(language, data_dir), 40)
        assert isinstance(task.type, SpanQA)
        features = task.type.encode(rows, real_tokenizer, max_length=96, training=True)
        found = task.type.predict(
            gold_logits(features), task.type.encode(rows, real_tokenizer, max_length=96, training=False), rows
        )
        exact = 0
        for said, answer, context in zip(found, rows["answers"].to_pylist(), rows["context"].to_pylist(), strict=True):
            wanted, fits = answer["text"][0], said in context
            assert fits
            exact += said == wanted
            # An answer may be longer than a window, or end within a token.
            assert wanted in said or len(wanted) > 60, (said, wanted)
        assert exact >= 0.6 * rows.num_rows, (language, exact)


def test_score_takes_the_best_gold_and_the_mean() -> None:
    rows = pa.table(
        {
            "question": ["a", "b"],
            "context": ["the red cat", "two dogs"],
            "answers": [
                {"text": ["red", "The red cat."], "answer_start": [4, 0]},
                {"text": ["two dogs"], "answer_start": [0]},
            ],
        }
    )
    scores = SpanQA().score(["red cat", "dogs"], rows, "en")
    assert scores == {
        "f1": pytest.approx((1 + 2 / 3) / 2),
        "exact_match": 0.5,
        "em_f1": pytest.approx((0.5 + (1 + 2 / 3) / 2) / 2),
    }


def test_mlqa_normalises_by_language() -> None:
    rows = pa.table({"question": ["q"], "context": ["c"], "answers": [{"text": ["Katze"], "answer_start": [0]}]})
    assert SpanQA(normaliser="mlqa").score(["die Katze"], rows, "de")["exact_match"] == 1.0
    assert SpanQA(normaliser="squad").score(["die Katze"], rows, "de")["exact_match"] == 0.0


def test_check_finds_answers_that_are_not_there() -> None:
    rows = table("中国人", [("国", 1), ("国", 2), ("国", -1)])
    [fault] = SpanQA().check(rows, "zh")
    assert str(fault) == f"answer not at its place in 2 rows (1, 2): '国' at 2, where '人' is{HINT}"
