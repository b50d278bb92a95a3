"""MasakhaNER: trains on English PAN-X, evaluates in 21 African languages; dates count as outside."""

from raystilts.tasks.catalog.panx import TRAIN, TYPE
from raystilts.tasks.languages import codes
from raystilts.tasks.source import Source
from raystilts.tasks.task import Task

TASK = Task(
    name="masakhaner",
    type=TYPE,
    train=TRAIN,
    dev=TRAIN.other("validation", rows=10_000),
    test=Source(
        dataset="masakhaner",
        split="test",
        path="masakhane/masakhaner2",
        name="{iso3}",
        language_codes={"sw": "swa"},
        converter="no_dates",
        rows=1_500,
    ),
    languages=codes("am bbj bm ee fon ha ig lg luo mos ny pcm rw sn sw tn tw wo xh yo zu"),
    dev_languages=("en",),
    main_score="f1",
    chance=0.0,
    description="Persons, organisations and places in African news (MasakhaNER 2.0; Amharic: 1.0).",
    licence="CC BY-NC 4.0",
    citation="Adelani et al. 2022, EMNLP, aclanthology.org/2022.emnlp-main.298",
    url="https://github.com/masakhane-io/masakhane-ner",
)
