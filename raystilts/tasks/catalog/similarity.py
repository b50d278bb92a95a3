"""Similarity: how much do two sentences mean the same, as a number?"""

from raystilts.tasks.languages import codes
from raystilts.tasks.source import Source
from raystilts.tasks.task import Task
from raystilts.tasks.types.regression import Regression

# STS-B: trains on the English pairs (GLUE), evaluates on their test set and its machine translations (DeepL).
#
# GLUE hides the labels of its test set; the translations come with them, and with the English original.
STSB_TRAIN = Source(
    dataset="stsb",
    split="train",
    path="nyu-mll/glue",
    name="stsb",
    revision="bcdcba79d07bc864c1c254ccfcedcce55bcc9a8c",
    rows=5_749,
    tokens_per_row=40,
)

STSB = Task(
    name="stsb",
    type=Regression(text="sentence1", text_pair="sentence2", label="label", low=0.0, high=5.0),
    train=STSB_TRAIN,
    dev=STSB_TRAIN.other("validation", rows=1_500),
    test=Source(
        dataset="stsb",
        split="test",
        path="mteb/stsb_multi_mt",
        name="{language}",
        revision="29afa2569dcedaaa2fe6a3dcfebab33d28b82e8c",
        converter="similarity_as_label",
        rows=1_379,
        tokens_per_row=45,
    ),
    languages=codes("de en es fr it nl pl pt ru zh"),
    dev_languages=("en",),
    main_score="pearson_spearman",
    description="How similar are two sentences, from 0 to 5? Correlation with people; tested in 10 languages.",
    licence="not specified; its sentences are from SemEval tasks of 2012 to 2017, under terms of their own",
    citation="Cer et al. 2017, SemEval, aclanthology.org/S17-2001",
    url="https://github.com/PhilipMay/stsb-multi-mt",
)
