"""Named conversions of rows, where published columns need a change before use.

A source names its converter, so that the name is part of what is hashed. Each takes a table and the language it is for,
and leaves rows in order.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa

from raystilts.errors import UserError, did_you_mean
from raystilts.tasks.languages import language_name
from raystilts.tasks.types.answer_column import in_lists
from raystilts.tasks.types.columns import field

#: Takes a table and the language that it is for.
Converter: TypeAlias = Callable[[pa.Table, str], pa.Table]

_MINING = pa.schema([(name, pa.string()) for name in ("side", "id", "sentence", "source_id", "target_id", "unit")])
_ANSWERS = pa.schema([("question", pa.string()), ("key", pa.string()), ("candidate", pa.string()),
                      ("keys", pa.list_(pa.string()))])  # fmt: skip


def labelled(rows: pa.Table, language: str) -> pa.Table:
    """Drops rows without a label (-1: annotators disagreed, or the label is hidden)."""
    import pyarrow.compute as pc  # here: names of tasks are asked for without it

    return rows.filter(pc.not_equal(pc.cast(rows["label"], pa.string()), "-1"))


def answers_in_place(rows: pa.Table, language: str) -> pa.Table:
    """Moves answers that do not stand where they are said to, as SQuAD's form with `context` and `answers` says it.

    The contexts of some copies on the hub lost white space at their ends after `answer_start` was counted. Such an
    answer moves to its nearest place in the context, the earlier one of two; one that stands nowhere stays, and is told
    by the check of the rows. How many were moved stands in the column `moved`, row by row.
    """
    if "moved" in rows.column_names:
        return rows
    answers, moved = [], []
    given_answers = in_lists(field(rows, "answers"), "answers").to_pylist()
    for context, answer in zip(rows["context"].to_pylist(), given_answers, strict=True):
        said, given = answer["text"], answer["answer_start"]
        starts = [_nearest(context or "", text, start) for text, start in zip(said, given, strict=True)]
        moved.append(sum(one != start for one, start in zip(starts, given, strict=True)))
        answers.append({"text": said, "answer_start": starts})
    kind = pa.struct([("text", pa.list_(pa.string())), ("answer_start", pa.list_(pa.int32()))])
    changed = _replace(rows, "answers", pa.array(answers, kind))
    return changed.append_column("moved", pa.array(moved, pa.int32()))


def _nearest(context: str, said: str, start: int | None) -> int | None:
    """Where a text stands in a context, nearest to `start`; `start` itself where it stands nowhere."""
    if start is None or start < 0 or not said or context[start : start + len(said)] == said:
        return start
    before, after = context.rfind(said, 0, start + len(said)), context.find(said, start)
    places = [place for place in (before, after) if place >= 0]
    return min(places, key=lambda place: (abs(place - start), place)) if places else start


def tydiqa_items(rows: pa.Table, language: str) -> pa.Table:
    """The rows whose id begins with the language's English name (``arabic-238...``), answers in place."""
    import pyarrow.compute as pc

    own = rows.filter(pc.starts_with(rows["id"], language_name(language).lower() + "-"))
    return answers_in_place(own, language)


def tatoeba_sentences(rows: pa.Table, language: str) -> pa.Table:
    """Tatoeba's pairs, the foreign sentence first, without the line feeds that end sentences in some copies."""
    names = {"sentence1": "source_sentence", "sentence2": "target_sentence"}
    rows = rows.rename_columns([names.get(name, name) for name in rows.column_names])
    for name in ("source_sentence", "target_sentence"):
        texts = [None if text is None else text.strip() for text in rows[name].to_pylist()]
        rows = _replace(rows, name, pa.array(texts, pa.string()))
    return rows


def premise_hypothesis(rows: pa.Table, language: str) -> pa.Table:
    """Names the two texts of an inference set premise and hypothesis (CLUE: sentence1 and sentence2)."""
    names = {"sentence1": "premise", "sentence2": "hypothesis"}
    return rows.rename_columns([names.get(name, name) for name in rows.column_names])


def inference_letters(rows: pa.Table, language: str) -> pa.Table:
    """Writes the labels of inference out that IndoNLI's files have as letters."""
    written = {"e": "entailment", "n": "neutral", "c": "contradiction"}
    labels = [None if label is None else written.get(label, label) for label in rows["label"].to_pylist()]
    return _replace(rows, "label", pa.array(labels, pa.string()))


def sick_items(rows: pa.Table, language: str) -> pa.Table:
    """Names SICK's labels, which its file has in capitals under another name, as other inference sets do."""
    if "label" in rows.column_names:
        return rows
    labels = [None if label is None else label.lower() for label in rows["entailment_label"].to_pylist()]
    return rows.drop_columns(["entailment_label"]).append_column("label", pa.array(labels, pa.string()))


def belebele_items(rows: pa.Table, language: str) -> pa.Table:
    """Cosmos QA's questions in the columns of Belebele, whose answers are counted from 1."""
    names = {"context": "flores_passage", **{f"answer{i}": f"mc_answer{i + 1}" for i in range(4)}}
    return _renamed_choices(rows, names, "correct_answer_num", "1234")


def mmlu_items(rows: pa.Table, language: str) -> pa.Table:
    """Cosmos QA's questions in the columns of MMLU: the story stands before the question, answers are letters."""
    if "answer0" not in rows.column_names:
        return rows
    stories, asked = rows["context"].to_pylist(), rows["question"].to_pylist()
    told = [f"{story} {question}" for story, question in zip(stories, asked, strict=True)]
    names = {f"answer{i}": f"option_{letter}" for i, letter in enumerate("abcd")}
    return _renamed_choices(_replace(rows, "question", pa.array(told, pa.string())), names, "answer", "ABCD")


def _renamed_choices(rows: pa.Table, names: dict[str, str], label: str, labels: str) -> pa.Table:
    """Columns under other names, and the number of the right answer under another label."""
    if "answer0" not in rows.column_names:
        return rows
    right = [None if number is None else labels[int(number)] for number in rows["label"].to_pylist()]
    renamed = rows.rename_columns([names.get(name, name) for name in rows.column_names])
    return renamed.drop_columns(["label"]).append_column(label, pa.array(right, pa.string()))


def upos_column(rows: pa.Table, language: str) -> pa.Table:
    """Names the column of tags as XTREME does (MasakhaPOS: upos)."""
    return rows.rename_columns(["pos_tags" if name == "upos" else name for name in rows.column_names])


def copa_question(rows: pa.Table, language: str) -> pa.Table:
    """Writes COPA's "cause" and "effect" out as questions (Roemmele et al. 2011)."""
    written = {"cause": "What was the cause?", "effect": "What happened as a result?"}
    texts = [written.get(value, value) for value in rows["question"].to_pylist()]
    return _replace(rows, "question", pa.array(texts, pa.string()))


def similarity_as_label(rows: pa.Table, language: str) -> pa.Table:
    """Names the column of STS-B's translations as GLUE does."""
    return rows.rename_columns(["label" if name == "similarity_score" else name for name in rows.column_names])


_QUOTED = re.compile(r'\s*"((?:[^"]|"")*)"')


def quoted_cells(rows: pa.Table, language: str) -> pa.Table:
    """Takes the quotes of CSV off texts (XStoryCloze's TSV files), which are part of the text in other TSV files."""
    rows = rows.rename_columns([_unquoted(name) or name for name in rows.column_names])
    for name in rows.column_names:
        if pa.types.is_string(rows[name].type):
            rows = _replace(rows, name, pa.array(map(_unquoted, rows[name].to_pylist()), pa.string()))
    return rows


def _unquoted(cell: str | None) -> str | None:
    found = None if cell is None else _QUOTED.fullmatch(cell)
    return cell if found is None else found[1].replace('""', '"')


def no_dates(rows: pa.Table, language: str) -> pa.Table:
    """Tags dates as outside (MasakhaNER has them; the English training data, PAN-X, has not)."""
    tags = [["O" if tag in {"B-DATE", "I-DATE"} else tag for tag in row] for row in rows["ner_tags"].to_pylist()]
    return _replace(rows, "ner_tags", pa.array(tags, pa.list_(pa.string())))


def afriqa_items(rows: pa.Table, language: str) -> pa.Table:
    """Names AfriQA's published columns as SQuAD does, and marks the answers that are no span.

    A "yes" or "no" answers the question and not the context, wherever these letters happen to stand
    in it: its start becomes -1, as most such rows have it. A missing passage is an empty context.
    """
    names = {"question_lang": "question", "answer_pivot": "answers"}
    rows = rows.rename_columns([names.get(name, name) for name in rows.column_names])
    answers = []
    for answer, context in zip(rows["answers"].to_pylist(), rows["context"].to_pylist(), strict=True):
        spans = [
            -1 if not context or said.strip().lower() in {"yes", "no", "oui", "non"} else start
            for said, start in zip(answer["text"], answer["answer_start"], strict=True)
        ]
        answers.append({"text": answer["text"], "answer_start": spans})
    kind = pa.struct([("text", pa.list_(pa.string())), ("answer_start", pa.list_(pa.int32()))])
    contexts = pa.array([context or "" for context in rows["context"].to_pylist()], pa.string())
    return _replace(_replace(rows, "answers", pa.array(answers, kind)), "context", contexts)


def _replace(rows: pa.Table, name: str, values: pa.Array) -> pa.Table:
    return rows.set_column(rows.schema.get_field_index(name), name, values)


def bucc_sides(rows: pa.Table, language: str) -> pa.Table:
    """The sentences and gold pairs of BUCC 2018, told apart.

    A sentence has `id` and `sentence`; BUCC's ids begin with the language, and English is the
    target. A pair has `source_id` and `target_id`. `unit` is the same for a pair and its two
    sentences, so that a split by it keeps them together.
    """
    if "side" in rows.column_names:
        return rows
    there = [name for name in ("id", "sentence", "source_id", "target_id") if name in rows.column_names]
    listed = rows.select(there).to_pylist()
    unit: dict[str, str] = {}
    for row in listed:
        if row.get("id") is None:
            unit[row["source_id"]] = unit[row["target_id"]] = row["source_id"]
    return pa.Table.from_pylist([_mining_row(row, unit) for row in listed], schema=_MINING)


def _mining_row(row: dict[str, Any], unit: dict[str, str]) -> dict[str, Any]:
    name = row.get("id")
    if name is None:
        return {**row, "side": "pair", "unit": unit[row["source_id"]]}
    side = "target" if name.startswith("en-") else "source"
    return {"side": side, "id": name, "sentence": row["sentence"], "unit": unit.get(name, name)}


def lareqa_sentences(rows: pa.Table, language: str) -> pa.Table:
    """The questions of XQuAD-R, and the sentences of its paragraphs as candidates (Roy et al. 2020).

    `sentence_breaks` are [start, end) in characters. A question is answered by the sentence that
    its answer begins in, under the question's id, which is the same in every language. A question
    whose answer begins in no sentence is left out, as in the published script; so is a sentence
    without text.
    """
    if "candidate" in rows.column_names:
        return rows
    questions, answered = [], dict[tuple[str, int], list[str]]()
    breaks: dict[str, list[list[int]]] = {}
    for row in rows.select(["id", "context", "question", "answers", "sentence_breaks"]).to_pylist():
        breaks.setdefault(row["context"], row["sentence_breaks"])
        begin = row["answers"]["answer_start"][0]
        inside = [at for at, (start, end) in enumerate(row["sentence_breaks"]) if start <= begin < end]
        if inside:
            questions.append({"question": row["question"], "key": row["id"]})
            # The same sentence may stand twice in a paragraph; then either answers.
            said = _slice(row["context"], row["sentence_breaks"][inside[0]])
            for at, span in enumerate(row["sentence_breaks"]):
                if _slice(row["context"], span) == said:
                    answered.setdefault((row["context"], at), []).append(row["id"])
    candidates = [
        {"candidate": text, "keys": answered.get((context, at), [])}
        for context, spans in breaks.items()
        for at, span in enumerate(spans)
        if (text := _slice(context, span)).strip()
    ]
    return pa.Table.from_pylist(questions + candidates, schema=_ANSWERS)


def mewsli_mentions(rows: pa.Table, language: str) -> pa.Table:
    """The mentions of WikiNews articles as questions, in the words of XTREME-R's baseline.

    One row an article: `context` with `text` and `sentence_spans`, and `mentions` with
    `mention_span` (start, end, text) and `entity_id`. A question is the mention, a colon, and its
    sentence with the mention in braces; the mention stands first so that truncation cannot cut it.
    """
    if "question" in rows.column_names:
        return rows
    questions = []
    for article in rows.select(["context", "mentions"]).to_pylist():
        text, sentences = article["context"]["text"], article["context"]["sentence_spans"]
        for mention in article["mentions"]:
            span = mention["mention_span"]
            around = [s for s in sentences if s["start"] <= span["start"] and span["end"] <= s["end"]]
            start, end = (around[0]["start"], around[0]["end"]) if around else (0, len(text))
            left, right = text[start : span["start"]], text[span["end"] : end]
            asked = _one_line(f"{span['text']}: {left} {{ {span['text']} }} {right}")
            questions.append({"question": asked, "key": mention["entity_id"]})
    return pa.Table.from_pylist(questions, schema=_ANSWERS)


def mewsli_entities(rows: pa.Table, language: str) -> pa.Table:
    """The entities of Mewsli-X as candidates: the sentences of their descriptions, joined."""
    if "candidate" in rows.column_names:
        return rows
    candidates = []
    for row in rows.select(["entity_id", "description", "sentence_spans"]).to_pylist():
        said = " ".join(row["description"][s["start"] : s["end"]] for s in row["sentence_spans"])
        candidates.append({"candidate": _one_line(said or row["description"]), "keys": [row["entity_id"]]})
    return pa.Table.from_pylist(candidates, schema=_ANSWERS)


def _slice(text: str, span: list[int]) -> str:
    return text[span[0] : span[1]]


def _one_line(text: str) -> str:
    return " ".join(text.splitlines()).replace("  ", " ").strip()


CONVERTERS: dict[str, Converter] = {
    "labelled": labelled,
    "premise_hypothesis": premise_hypothesis,
    "inference_letters": inference_letters,
    "sick_items": sick_items,
    "upos_column": upos_column,
    "answers_in_place": answers_in_place,
    "tydiqa_items": tydiqa_items,
    "belebele_items": belebele_items,
    "mmlu_items": mmlu_items,
    "tatoeba_sentences": tatoeba_sentences,
    "copa_question": copa_question,
    "similarity_as_label": similarity_as_label,
    "quoted_cells": quoted_cells,
    "no_dates": no_dates,
    "afriqa_items": afriqa_items,
    "bucc_sides": bucc_sides,
    "lareqa_sentences": lareqa_sentences,
    "mewsli_mentions": mewsli_mentions,
    "mewsli_entities": mewsli_entities,
}


def get_converter(name: str) -> Converter:
    """The converter of that name.

    Raises:
        UserError: If there is none.
    """
    if name not in CONVERTERS:
        raise UserError(f"converter: {name!r} is unknown; {did_you_mean(name, CONVERTERS)}")
    return CONVERTERS[name]


#: What a user's own converters are called, and what identifies them: results must not outlive a change of the code.
_OWN: dict[str, str] = {}


def register_converter(function: Converter) -> str:
    """Makes a function of a task file known by its name, which a source then holds.

    Raises:
        UserError: If it has no source code, or another converter has its name.
    """
    name = getattr(function, "__name__", "")
    try:
        code = _code_of(function)
    except (OSError, TypeError):
        raise UserError(f"converter: {function!r} is no function of a file; define it in the task file") from None
    if name in CONVERTERS and _OWN.get(name) != code:
        if name not in _OWN:
            raise UserError(f"converter: {name!r} is the name of another one; rename the function")
        if CONVERTERS[name].__module__ != function.__module__:
            raise UserError(f"converter: {name!r} is in two task files, and not the same; rename one")
    CONVERTERS[name], _OWN[name] = function, code
    return name


def _code_of(function: Converter) -> str:
    """The source of a function and of what it uses of its file: helpers and constants, and what these use.

    Raises:
        OSError, TypeError: It has none.
    """
    own = inspect.getsource(function)
    text = Path(inspect.getsourcefile(function) or "").read_text(encoding="utf-8")
    statements: dict[str, list[ast.stmt]] = {}
    for one in ast.parse(text).body:
        for name in _bound(one):
            statements.setdefault(name, []).append(one)
    itself = statements.get(function.__name__, [])
    found, todo = dict.fromkeys(itself), [*itself]
    while todo:
        used = {part.id for part in ast.walk(todo.pop()) if isinstance(part, ast.Name)}
        new = [one for name in sorted(used) for one in statements.get(name, []) if one not in found]
        found |= dict.fromkeys(new)
        todo += new
    others = sorted((one for one in found if one not in itself), key=lambda one: one.lineno)
    return "\n".join([own, *(ast.get_source_segment(text, one) or "" for one in others)])


def _bound(statement: ast.stmt) -> set[str]:
    """The names that a statement of a file defines; imports are of other files."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {statement.name}
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return set()
    return {part.id for part in ast.walk(statement) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)}


def converter_identity(name: str) -> str:
    """What stands for a converter in fingerprints: its name, and for a user's own its code too."""
    if name not in _OWN:
        return name
    return f"{name} {hashlib.sha256(_OWN[name].encode()).hexdigest()[:16]}"
