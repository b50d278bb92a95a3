"""AfriQA trained on its own questions, in the languages that have training data, instead of on English SQuAD."""

from raystilts.tasks.catalog.afriqa import TASK as ZERO_SHOT
from raystilts.tasks.languages import codes
from raystilts.tasks.source import Source
from raystilts.tasks.types.span_qa import SpanQA

TRAIN = Source(dataset="afriqa", split="train", converter="afriqa_items", rows=250, tokens_per_row=190)

TASK = ZERO_SHOT.model_copy(
    update={
        "name": "afriqa_own",
        "type": SpanQA(spanless=True),
        "train": TRAIN,
        "dev": TRAIN.other("validation", rows=250),
        "train_language": "bem+fon+ha+ig+rw+tw+yo+zu",
        "dev_languages": codes("bem fon ha ig rw tw zu"),
        "description": "Cross-lingual reading like afriqa, trained on AfriQA's own questions.",
    }
)
