"""A few rows in the published form of tasks whose data is not at hand, written for these tests."""

from __future__ import annotations

import pyarrow as pa

_PAIRS = [("A man sleeps.", "A person rests."), ("A man sleeps.", "He runs."), ("Dogs bark at night.", "It is late.")]


def _nli(labels: list[object], extra: dict[str, list[object]] | None = None) -> pa.Table:
    columns = {"premise": [p for p, _ in _PAIRS], "hypothesis": [h for _, h in _PAIRS], "label": labels}
    return pa.table({**columns, **(extra or {})})


def _squad_v2() -> pa.Table:
    context = "Rollo led the Normans, who came from Norway and settled in the north of France."
    rows = [
        {"id": "a", "title": "Normans", "context": context, "question": "Who led the Normans?",
         "answers": {"text": ["Rollo"], "answer_start": [0]}},
        {"id": "b", "title": "Normans", "context": context, "question": "Where did they settle?",
         "answers": {"text": ["the north of France", "France"], "answer_start": [59, 72]}},
        {"id": "c", "title": "Normans", "context": context, "question": "Who led the Saxons?",
         "answers": {"text": [], "answer_start": []}},
    ]  # fmt: skip
    return pa.Table.from_pylist(rows)


def _afriqa() -> pa.Table:
    passage = "Folorunsho Alakija (born 15 July 1951) is a Nigerian businesswoman; nobody doubts it."
    rows = [
        {"id": "0", "question_lang": "Ọjọ wo ni a bi i?", "question_translated": "When was she born?",
         "context": passage, "answer_pivot": {"text": ["15 July 1951"], "answer_start": [25]}, "title": "Alakija"},
        {"id": "1", "question_lang": "Ṣe oniṣowo ni?", "question_translated": "Is she in business?",
         "context": passage, "answer_pivot": {"text": ["yes"], "answer_start": [-1]}, "title": "Alakija"},
        {"id": "2", "question_lang": "Ṣe o jẹ akọrin?", "question_translated": "Is she a singer?",
         "context": passage, "answer_pivot": {"text": ["no"], "answer_start": [68]}, "title": "Alakija"},
        {"id": "3", "question_lang": "Ta ni?", "question_translated": "Who is it?",
         "context": None, "answer_pivot": {"text": ["Alakija"], "answer_start": [11]}, "title": None},
    ]  # fmt: skip
    return pa.Table.from_pylist(rows)


def _bucc() -> pa.Table:
    sentences = {
        "de-000000001": "Der Fluss ist lang.", "de-000000002": "Es regnet.", "de-000000003": "Wir gehen heim.",
        "en-000000001": "The river is long.", "en-000000002": "It is raining.", "en-000000003": "Nobody knows.",
        "en-000000004": "We go home.",
    }  # fmt: skip
    pool = pa.table({"id": list(sentences), "sentence": list(sentences.values())})
    gold = [("de-000000001", "en-000000001"), ("de-000000002", "en-000000002"), ("de-000000003", "en-000000004")]
    pairs = pa.table({"source_id": [s for s, _ in gold], "target_id": [t for _, t in gold]})
    return pa.concat_tables([pool, pairs], promote_options="default")


def _mentions() -> pa.Table:
    text = "Strike in Helsinki\n\nIn Helsinki, drivers went on strike. Espoo and Vantaa were hit too."
    spans = [(0, 18), (20, 56), (57, 87)]
    named = [("Helsinki", 23, "Q1757"), ("Espoo", 57, "Q47034"), ("Vantaa", 67, "Q103717")]
    article = {
        "context": {
            "document_title": "Strike in Helsinki", "document_url": "https://en.wikinews.org/wiki?curid=1",
            "document_id": "en-1", "language": "en", "text": text,
            "sentence_spans": [{"start": start, "end": end} for start, end in spans],
        },
        "mentions": [
            {"example_id": qid, "entity_id": qid, "metadata": {"bin_name": "bin04"},
             "mention_span": {"start": start, "end": start + len(name), "text": name}}
            for name, start, qid in named
        ],
    }  # fmt: skip
    return pa.Table.from_pylist([article])


def _entities() -> pa.Table:
    said = {
        "Q1757": ("fi", "Helsinki on Suomen pääkaupunki. Siellä on satama."),
        "Q47034": ("de", "Espoo ist eine Stadt in Finnland."),
        "Q103717": ("en", "Vantaa is a city in Finland."),
        "Q90": ("fr", "Paris est la capitale de la France."),
    }
    rows = [
        {"entity_id": qid, "title": text.split()[0], "description": text, "description_language": language,
         "description_url": f"https://{language}.wikipedia.org/wiki/{text.split()[0]}",
         "sentence_spans": _sentences(text)}
        for qid, (language, text) in said.items()
    ]  # fmt: skip
    return pa.Table.from_pylist(rows)


def _sentences(text: str) -> list[dict[str, int]]:
    ends = [i + 1 for i, char in enumerate(text) if char == "."]
    starts = [0, *(end + 1 for end in ends[:-1])]
    return [{"start": start, "end": end} for start, end in zip(starts, ends, strict=True)]


def _ccg() -> pa.Table:
    tokens = [["The", "dog", "barks", "."], ["It", "rains", "."]]
    return pa.table({"tokens": tokens, "tags": [[12, 3, 1362, 0], [5, 1361, 0]]})


def _qqp() -> pa.Table:
    return pa.table(
        {
            "question1": ["How do I cook rice?", "Why is the sky blue?", "Who am I?"],
            "question2": ["How is rice cooked?", "Why is grass green?", "Who are you?"],
            "label": ["duplicate", "not_duplicate", "not_duplicate"],
            "idx": [0, 1, 2],
        }
    )


def _cosmos() -> pa.Table:
    rows = [
        {"id": str(i), "context": f"Day {i}: we went out and it rained.", "question": "Why did we come home?",
         "answer0": "We were wet.", "answer1": "It was hot.", "answer2": "We were lost.", "answer3": "None of these.",
         "label": i % 4}
        for i in range(40)
    ]  # fmt: skip
    return pa.Table.from_pylist(rows)


def _belebele() -> pa.Table:
    rows = [
        {"link": "https://example.org", "question_number": i, "flores_passage": "Ice floats on water.",
         "question": "What floats?", "mc_answer1": "Ice", "mc_answer2": "Iron", "mc_answer3": "Sand",
         "mc_answer4": "Lead", "correct_answer_num": str(number), "dialect": "eng_Latn", "ds": "2023-05-03"}
        for i, number in enumerate((1, 3, 4))
    ]  # fmt: skip
    return pa.Table.from_pylist(rows)


def _mmlu() -> pa.Table:
    rows = [
        {"sample_id": f"s/{i}", "question": "Two and two?", "option_a": "4", "option_b": "3", "option_c": "5",
         "option_d": "22", "answer": letter, "subject": "mathematics"}
        for i, letter in enumerate("ADB")
    ]  # fmt: skip
    return pa.Table.from_pylist(rows)


def _stories(number: int) -> pa.Table:
    rows = [
        {"story_id": str(i), "input_sentence_1": f"Ann had {i} dogs.", "input_sentence_2": "They ran off.",
         "input_sentence_3": "She called them.", "input_sentence_4": "Nobody came.", "sentence_quiz1": "She was sad.",
         "sentence_quiz2": "It was a car.", "answer_right_ending": 1 + i % 2}
        for i in range(number)
    ]  # fmt: skip
    return pa.Table.from_pylist(rows)


def _gaps(number: int) -> pa.Table:
    rows = [
        {"sentence": f"The trophy did not fit in case {i} because _ was too big.", "option1": "the trophy",
         "option2": "the case", "answer": str(1 + i % 2)}
        for i in range(number)
    ]  # fmt: skip
    return pa.Table.from_pylist(rows)


def _similar(label: str) -> pa.Table:
    pairs = [("A man plays the flute.", "A man is fluting."), ("Dogs bark.", "A cat sleeps."), ("Ice.", "Snow.")]
    scores = [4.8, 0.6, 2.25]
    return pa.table({"sentence1": [a for a, _ in pairs], "sentence2": [b for _, b in pairs], label: scores})


def _topics(text: str, label: str, labels: str) -> dict[str, pa.Table]:
    names = labels.split()
    rows = [{text: f"This is number {i} about {name}.", label: name} for i, name in enumerate(names)]
    return dict.fromkeys(("train", "dev", "test"), pa.Table.from_pylist(rows))


#: By task; by split where splits differ in form, else under "test" for all splits.
TRUE_ROWS: dict[str, dict[str, pa.Table]] = {
    "afriqa": {"test": _afriqa()},
    "afrixnli": dict.fromkeys(("train", "dev", "test"), _nli([0, 2, 1])),
    "belebele": {"train": _cosmos(), "dev": _cosmos(), "test": _belebele()},
    "global_mmlu": {"train": _cosmos(), "dev": _cosmos(), "test": _mmlu()},
    "masakhanews": _topics("text", "category", "business entertainment health politics religion sports technology"),
    "massive_intent": _topics("text", "label", "alarm_set iot_coffee play_radio weather_query"),
    "nusax_senti": _topics("text", "label", "negative neutral positive neutral"),
    "stsb": {"train": _similar("label"), "dev": _similar("label"), "test": _similar("similarity_score")},
    "taxi1500": _topics("verse", "label", "Recommendation Faith Description Sin Grace Violence"),
    "ud": dict.fromkeys(
        ("train", "dev", "test"),
        pa.table({"tokens": [["Dogs", "bark", "."], ["It", "rains"]], "pos_tags": [["NOUN", "VERB", "PUNCT"],
                                                                               ["PRON", "VERB"]]}),
    ),
    "winogrande": dict.fromkeys(("train", "dev", "test"), _gaps(40)),
    "xstorycloze": dict.fromkeys(("train", "dev", "test"), _stories(40)),
    "xwinograd": dict.fromkeys(("train", "dev", "test"), _gaps(6)),
    "anli": dict.fromkeys(("train", "dev", "test"), _nli([0, 2, 1], {"uid": ["a", "b", "c"], "reason": ["", "", ""]})),
    "bucc2018": dict.fromkeys(("dev", "test"), _bucc()),
    "ccg": dict.fromkeys(("train", "dev", "test"), _ccg()),
    "mewsli_x": {"dev": _mentions(), "test": _mentions(), "pool": _entities()},
    "qqp": dict.fromkeys(("train", "dev", "test"), _qqp()),
    "scitail": {
        "train": pa.table(
            {"premise": ["Ice is cold.", "Water boils."], "hypothesis": ["Ice is not hot.", "Iron boils."],
             "label": ["entails", "neutral"]}
        ),
    },
    "snli": {"train": _nli(["entailment", "-1", "neutral"])},
    "squad_v2": dict.fromkeys(("train", "dev", "test"), _squad_v2()),
}  # fmt: skip
