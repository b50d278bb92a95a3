"""Retrieval across languages: nothing is trained, an encoder is scored as it is."""

from raystilts.tasks.languages import codes
from raystilts.tasks.source import Source
from raystilts.tasks.task import Task
from raystilts.tasks.types.mining import Mining
from raystilts.tasks.types.retrieval import AnswerRetrieval, Retrieval

# Tatoeba: sentence retrieval between English and other languages.
TATOEBA = Task(
    name="tatoeba",
    type=Retrieval(query="target_sentence", candidate="source_sentence"),
    test=Source(
        dataset="tatoeba",
        split="test",
        path="mteb/tatoeba-bitext-mining",
        name="{iso3}-eng",
        revision="69e8f12da6e31d59addadda9a9c8a2e601a0e282",
        language_codes={
            "ar": "ara", "az": "aze", "ku": "kur", "lv": "lvs", "mn": "mon", "ms": "zsm", "sq": "sqi", "uz": "uzb",
            "yi": "yid", "zh": "cmn",
        },
        converter="tatoeba_sentences",
        rows=1_000,
    ),
    languages=codes(
        "af am ar az be bg bn br bs ca cs cy da de el eo es et eu fa fi fo fr fy ga gd gl "
        "he hi hr hu hy ia id ie io is it ja jv ka kk km ko ku la lt lv mk ml mn mr ms nb "
        "nl nn oc pl pt ro ru sk sl sq sr sv sw ta te th tk tl tr tt ug uk ur uz vi xh yi "
        "zh"
    ),
    main_score="accuracy",
    description="Finds the translation of each English sentence among up to 1,000; XTREME.",
    licence="CC BY 2.0 FR",
    citation="Artetxe and Schwenk 2019, TACL 7, aclanthology.org/Q19-1038",
    url="https://github.com/facebookresearch/LASER",
    scores_compared="accuracy@1, English as query, as in XTREME's evaluate.py",
)


# BUCC 2018: mining translations in two collections. XTREME's dev data is BUCC's sample, its test data BUCC's training.
#
# A folder holds, for each language, `pool_source`, `pool_target` (id, sentence), `validation` (source_id, target_id),
# and the same with `test_pool_source`, `test_pool_target` and `test`. Copies on the hub lack the sentences of no pair.
# `bucc2018_sample` needs the dev data alone: in two halves by pairs, the threshold from one, the score on the other.
BUCC2018_DEV = Source(
    dataset="bucc2018", split="pool_source+pool_target+validation", converter="bucc_sides", rows=68_000
)
BUCC2018_TEST = BUCC2018_DEV.other("test_pool_source+test_pool_target+test", rows=660_000)
BUCC2018_LANGUAGES = codes("de fr ru zh")


def _bucc2018_task(name: str, dev: Source, test: Source, compared: str) -> Task:
    return Task(
        name=name,
        type=Mining(),
        dev=dev,
        test=test,
        languages=BUCC2018_LANGUAGES,
        dev_languages=BUCC2018_LANGUAGES,
        main_score="f1",
        description="Finds the pairs that translate each other between English and another language; XTREME.",
        licence="BUCC 2018 shared-task terms; Wikipedia text CC BY-SA",
        citation="Zweigenbaum, Sharoff and Rapp 2018, BUCC at LREC",
        url="https://comparable.limsi.fr/bucc2018/bucc2018-task.html",
        scores_compared=f"margin mining and thresholds with XTREME's utils_retrieve.py on random vectors; {compared}",
    )


BUCC2018_OFFICIAL = _bucc2018_task(
    "bucc2018", BUCC2018_DEV, BUCC2018_TEST, "scores on the full test data were never compared here"
)
HALF, REST = (BUCC2018_DEV.carved(part, share=0.5, by=("unit",), rows=34_000) for part in ("dev", "train"))
BUCC2018_TASKS = [
    BUCC2018_OFFICIAL,
    _bucc2018_task("bucc2018_sample", HALF, REST, "half of the sample is not XTREME's test data"),
]


# LAReQA: which of all sentences, in all languages, answers the question? XQuAD-R.
#
# The hub's copy lacks the sentence breaks: a folder holds the published files as Parquet. Candidates are sentences
# without their paragraph, and nothing is trained on SQuAD (XTREME-R trains a retriever, and adds the paragraph).
LAREQA = Task(
    name="lareqa",
    type=AnswerRetrieval(),
    test=Source(dataset="xquad_r", split="test", converter="lareqa_sentences", rows=2_370),
    languages=codes("ar de el en es hi ru th tr vi zh"),
    main_score="map",
    description="Finds the sentences that answer a question among those of 11 languages; XTREME-R.",
    licence="CC BY-SA 4.0",
    citation="Roy et al. 2020, EMNLP, aclanthology.org/2020.emnlp-main.477",
    url="https://github.com/google-research-datasets/lareqa",
    scores_compared="mean average precision as in XTREME-R's utils_lareqa.py; its scores are of trained retrievers",
)


# Mewsli-X: which of a million entities does the mention mean, by descriptions in 50 languages?
#
# A folder holds mewsli_x/<language>/test.parquet and validation.parquet (one row an article, as published) and
# mewsli_x/all/candidates.parquet. Nothing is trained on the English pairs, with which XTREME-R trains a retriever.
MEWSLI_X_LANGUAGES = codes("ar de en es fa ja pl ro ta tr uk")
MEWSLI_X_PIN = "7e3723faa15c6d84cfd56d66cf6cd347be8ad00e"
MEWSLI_X_HUB = "izhx/mewsli-x"
MEWSLI_X_TEST = Source(
    dataset="mewsli_x",
    split="test",
    path=MEWSLI_X_HUB,
    name="{language}",
    revision=MEWSLI_X_PIN,
    converter="mewsli_mentions",
)
MEWSLI_X_POOL = Source(
    dataset="mewsli_x",
    split="candidates",
    path=MEWSLI_X_HUB,
    name="candidate_entities",
    hub_split="test",
    hub_files="candidate_entities.jsonl.tar.gz",
    revision=MEWSLI_X_PIN,
    converter="mewsli_entities",
    rows=1_003_893,
    tokens_per_row=60,
)

MEWSLI_X = Task(
    name="mewsli_x",
    type=AnswerRetrieval(k=20),
    dev=MEWSLI_X_TEST.other("validation", rows=270),
    test=MEWSLI_X_TEST.other("test", rows=1_400),
    pool=MEWSLI_X_POOL,
    languages=MEWSLI_X_LANGUAGES,
    dev_languages=MEWSLI_X_LANGUAGES,
    main_score="map@20",
    description="Links mentions in news to entities by their descriptions; XTREME-R.",
    licence="Apache-2.0; text CC BY-SA 3.0 (Wikipedia) and CC BY 2.5 (WikiNews)",
    citation="Ruder et al. 2021, EMNLP, aclanthology.org/2021.emnlp-main.802",
    url="https://github.com/google-research/google-research/tree/master/dense_representations_for_entity_retrieval/mel",
)
