"""Plain text in many languages, for masked language modelling beside other tasks."""

from raystilts.tasks.source import Source
from raystilts.tasks.task import Task
from raystilts.tasks.types.masked_lm import MaskedLM

TASK = Task(
    name="mono",
    type=MaskedLM(),
    train=Source(dataset="mono", split="train", rows=10_000, tokens_per_row=35),
    main_score="accuracy",
    description="Lines of text, as mono@sw+hi in the languages wanted; a folder mono/<language>/train.parquet.",
    licence="as the text in the folder",
    citation="none: the user's own text",
    url="https://huggingface.co/datasets/wikimedia/wikipedia",
)
