"""cldr_span: questions about a list of events, answered by a stretch of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import pyarrow as pa

from raystilts.tasks.cldr.facts import Draws, Split, check_split, names, names_in
from raystilts.tasks.cldr.phrases import (
    DIMENSIONS,
    Quantity,
    draw_moment,
    draw_quantity,
    forms,
    has_form,
    plain,
    pool,
    write_date,
)

ROWS: Final = {"train": 2000, "validation": 240, "test": 200}
EVENTS: Final = 2
_NAMED: Final = ("territory", "city", "language")

SCHEMA: Final = pa.schema(
    {
        "id": pa.string(),
        "title": pa.string(),
        "context": pa.string(),
        "question": pa.string(),
        "answers": pa.struct(
            {"text": pa.list_(pa.string()), "answer_start": pa.list_(pa.int32())}
        ),
    }
)


@dataclass(frozen=True, slots=True)
class _Event:
    """Something that happened: a name, a day, and quantities of different dimensions."""

    name: str
    day: datetime
    quantities: tuple[Quantity, ...]


def _events(draws: Draws, language: str, split: Split) -> list[_Event]:
    """Events whose names, days and dimensions all differ."""
    known = [name for kind in _NAMED for name in names_in(language, kind, split).values()]
    dimensions = draws.sample([d for d in DIMENSIONS if pool(language, d, split)], 2 * EVENTS)
    events: list[_Event] = []
    for at, name in enumerate(draws.sample(known, EVENTS)):
        mine = [_quantity(draws, language, split, d) for d in dimensions[2 * at : 2 * at + 2]]
        events.append(_Event(name, draw_moment(draws, split), tuple(mine)))
    return events


def _quantity(draws: Draws, language: str, split: Split, dimension: str) -> Quantity:
    """A quantity of a unit that has a name of its own ("miles", not "miles per day")."""
    while True:
        quantity = draw_quantity(draws, language, split, (dimension,))
        if "/" not in quantity.unit:
            return quantity


def _unit_name(language: str, quantity: Quantity) -> str:
    """The bare name of what is counted, as a question asks for it."""
    kind = "currency" if quantity.dimension == "money" else "unit"
    found = names(language, kind).get(quantity.unit)
    # A unit whose bare name is not translated is asked for by its counted form.
    return found or quantity.times(Decimal(2)).text(language).replace("2", "").strip()


def _parts(language: str, event: _Event) -> list[tuple[str, str]]:
    """The text of an event in order, each stretch with its role."""
    day = plain(write_date(language, event.day, "full"))
    parts = [("name", event.name), ("", ": "), ("day", day)]
    for at, quantity in enumerate(event.quantities):
        parts += [("", "; "), (f"quantity{at}", quantity.text(language))]
    return [*parts, ("", ".")]


def _question(draws: Draws, language: str, event: _Event) -> tuple[str, str]:
    """A question about the event, and the role of the stretch that answers it."""
    place = draws.below(10)
    at = draws.below(len(event.quantities))
    quantity = event.quantities[at]
    if place < 5:
        return f"{_unit_name(language, quantity)}?", f"quantity{at}"
    if place < 6:
        form = draws.pick(forms(language, quantity.dimension, quantity.unit))
        return f"{quantity.text(language, form)}?", "name"
    if place < 7:
        form_ = draws.pick([f for f in ("long", "medium", "short") if has_form(language, f)])
        return f"{plain(write_date(language, event.day, form_))}?", "name"
    return f"{event.name}?", "day"


def _row(draws: Draws, language: str, split: Split) -> dict[str, Any]:
    events = _events(draws, language, split)
    asked = draws.below(len(events))
    question, role = _question(draws, language, events[asked])
    context, start, answer = "", -1, ""
    for at, event in enumerate(events):
        context += " " if at else ""
        for stretch_role, text in _parts(language, event):
            if at == asked and stretch_role == role:
                start, answer = len(context), text
            context += text
    answers = {"text": [answer], "answer_start": [start]}
    return {"title": events[0].name, "context": context, "question": question, "answers": answers}


def rows(language: str, split: str) -> pa.Table:
    """Columns of SQuAD: `id`, `title`, `context`, `question`, `answers`.

    The context lists events: a name, its full date, two quantities. A question names a unit
    (answer: the quantity), a quantity or a date in another form (answer: the event), or an event
    (answer: its date). All text is CLDR's, in every language.
    """
    part = check_split(language, split)
    draws = Draws("span", language, part)
    found = [_row(draws, language, part) for _ in range(ROWS[part])]
    table = [{"id": f"{language}-{part}-{at}", **row} for at, row in enumerate(found)]
    return pa.Table.from_pylist(table, schema=SCHEMA)
