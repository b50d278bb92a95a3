"""Benchmarks in African languages: questions, named entities, parts of speech."""

from raystilts.tasks.catalog.qa import SQUAD_CARVED_DEV, SQUAD_CARVED_TRAIN
from raystilts.tasks.catalog.tagging import PANX_TRAIN, PANX_TYPE, UDPOS_TRAIN, UDPOS_TYPE
from raystilts.tasks.languages import codes
from raystilts.tasks.source import Source
from raystilts.tasks.task import Task
from raystilts.tasks.types.span_qa import SpanQA

# AfriQA, gold passages: questions in African languages about English or French passages.
#
# The hub's copy is a script, which nobody runs here: a folder holds the published files as Parquet.
# A question with a yes/no answer or without a passage cannot be answered by a span. It counts as
# wrong in em_f1, as in the published baseline; span_em_f1 is over the others.
AFRIQA = Task(
    name="afriqa",
    type=SpanQA(spanless=True),
    train=SQUAD_CARVED_TRAIN,
    dev=SQUAD_CARVED_DEV,
    test=Source(dataset="afriqa", split="test", converter="afriqa_items", rows=350, tokens_per_row=190),
    languages=codes("bem fon ha ig rw sw tw yo zu"),
    dev_languages=("en",),
    main_score="em_f1",
    description="Cross-lingual reading: the answer is a span of the English (Fon: French) passage.",
    licence="CC BY 4.0",
    citation="Ogundepo et al. 2023, Findings of EMNLP, aclanthology.org/2023.findings-emnlp.997",
    url="https://github.com/masakhane-io/afriqa",
)


# AfriQA trained on its own questions, in the languages that have training data, instead of on English SQuAD.
AFRIQA_OWN_TRAIN = Source(dataset="afriqa", split="train", converter="afriqa_items", rows=250, tokens_per_row=190)

AFRIQA_OWN = AFRIQA.model_copy(
    update={
        "name": "afriqa_own",
        "type": SpanQA(spanless=True),
        "train": AFRIQA_OWN_TRAIN,
        "dev": AFRIQA_OWN_TRAIN.other("validation", rows=250),
        "train_language": "bem+fon+ha+ig+rw+tw+yo+zu",
        "dev_languages": codes("bem fon ha ig rw tw zu"),
        "description": "Cross-lingual reading like afriqa, trained on AfriQA's own questions.",
    }
)


# MasakhaNER: trains on English PAN-X, evaluates in 21 African languages; dates count as outside.
#
# The hub's copies are scripts: the files of their authors' repository are read.
MASAKHANER_TEST = Source(
    dataset="masakhaner",
    split="test",
    path="github:masakhane-io/masakhane-ner",
    hub_files="MasakhaNER2.0/data/{iso3}/{split}.txt",
    file_type=".conll",
    revision="ba5843cd08aa491d5f96a5e809e71eb9ec461391",
    language_codes={"sw": "swa"},
    converter="no_dates",
    rows=1_500,
)
MASAKHANER_FIRST = MASAKHANER_TEST.model_copy(update={"hub_files": "data/amh/{split}.txt", "rows": 500})

MASAKHANER = Task(
    name="masakhaner",
    type=PANX_TYPE,
    train=PANX_TRAIN,
    dev=PANX_TRAIN.other("validation", rows=10_000),
    test=MASAKHANER_TEST.model_copy(update={"by_language": {"am": MASAKHANER_FIRST}}),
    languages=codes("am bbj bm ee fon ha ig lg luo mos ny pcm rw sn sw tn tw wo xh yo zu"),
    dev_languages=("en",),
    main_score="f1",
    description="Persons, organisations and places in African news (MasakhaNER 2.0; Amharic: 1.0).",
    licence="CC BY-NC 4.0",
    citation="Adelani et al. 2022, EMNLP, aclanthology.org/2022.emnlp-main.298",
    url="https://github.com/masakhane-io/masakhane-ner",
)


# MasakhaPOS: trains on English Universal Dependencies, evaluates in 20 African languages.
#
# The hub's copy is a script without a conversion: a folder holds the published files.
MASAKHAPOS = Task(
    name="masakhapos",
    type=UDPOS_TYPE,
    train=UDPOS_TRAIN,
    dev=UDPOS_TRAIN.other("validation", rows=3_974),
    test=Source(
        dataset="masakhapos",
        split="test",
        converter="upos_column",
        rows=600,
    ),
    languages=codes("bbj bm ee fon ha ig lg luo mos ny pcm rw sn sw tn tw wo xh yo zu"),
    dev_languages=("en",),
    main_score="accuracy",
    description="Universal part-of-speech tags of African news.",
    licence="MIT (repository)",
    citation="Dione et al. 2023, ACL, aclanthology.org/2023.acl-long.609",
    url="https://github.com/masakhane-io/masakhane-pos",
)
