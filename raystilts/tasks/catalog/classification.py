"""Topics of sentences, and plain text for masked language modelling."""

from raystilts.tasks.languages import codes
from raystilts.tasks.source import CONVERTED, Source
from raystilts.tasks.task import Task
from raystilts.tasks.types.classification import SequenceClassification
from raystilts.tasks.types.masked_lm import MaskedLM

# SIB-200: topics of FLORES-200 sentences.
SIB200_TRAIN = Source(
    dataset="sib200",
    split="train",
    path="Davlan/sib200",
    name="{flores}",
    revision="38977a667f6fc264d5c26ec57a01e16db040b358",
    keyed_as=CONVERTED,
    hub_files="data/{flores}/{split}.tsv",
    rows=701,
    tokens_per_row=34,
)
SIB200_TOPICS = codes("entertainment geography health politics science/technology sports travel")

SIB200 = Task(
    name="sib200",
    type=SequenceClassification(text="text", label="category", labels=SIB200_TOPICS),
    train=SIB200_TRAIN,
    dev=SIB200_TRAIN.other("validation", rows=99).model_copy(update={"hub_files": "data/{flores}/dev.tsv"}),
    test=SIB200_TRAIN.other("test", rows=204),
    languages=codes(
        "af am ar bg bn cs de el en es et eu fa fi fr ha he hi hu id ig it ja ka kk ko lg "
        "ln lt ml mr my nl ny om pa pl pt qu ro ru rw sn so sw ta te th ti tl tn tr tw uk "
        "ur uz vi wo xh yo zh zu"
    ),
    dev_languages=("en",),
    main_score="accuracy",
    description="Which of seven topics is the sentence about? Parallel in 200 languages.",
    licence="CC BY-SA 4.0 (text); annotations as stated in the repository, Apache-2.0",
    citation="Adelani et al. 2024, EACL, aclanthology.org/2024.eacl-long.14",
    url="https://github.com/dadelani/sib-200",
)


# MasakhaNEWS: topics of news in 16 languages, by headline and text.
MASAKHANEWS_TRAIN = Source(
    dataset="masakhanews",
    split="train",
    path="mteb/masakhanews",
    name="{iso3}",
    revision="18193f187b92da67168c655c9973a165ed9593dd",
    language_codes={"sw": "swa", "om": "orm"},
    rows=3_309,
    tokens_per_row=600,
)
MASAKHANEWS_LANGUAGES = codes("am en fr ha ig lg ln om pcm rn sn so sw ti xh yo")

MASAKHANEWS = Task(
    name="masakhanews",
    type=SequenceClassification(
        text="text",
        label="category",
        labels=codes("business entertainment health politics religion sports technology"),
        averages=("weighted_f1",),
    ),
    train=MASAKHANEWS_TRAIN,
    dev=MASAKHANEWS_TRAIN.other("validation", rows=472),
    test=MASAKHANEWS_TRAIN.other("test", rows=948),
    languages=MASAKHANEWS_LANGUAGES,
    dev_languages=MASAKHANEWS_LANGUAGES,
    main_score="weighted_f1",
    description="Which of seven topics is the news article about?",
    licence="CC BY-NC-SA 4.0 (LICENSE.md of the repository)",
    citation="Adelani et al. 2023, IJCNLP-AACL, arxiv.org/abs/2304.09972",
    url="https://github.com/masakhane-io/masakhane-news",
)


# NusaX: sentiment in ten languages of Indonesia, Indonesian and English, parallel.
NUSAX_TRAIN = Source(
    dataset="nusax_senti",
    split="train",
    path="mteb/NusaX-senti",
    name="{iso3}",
    revision="7b2ff4facde8a6473f667a38edef1d03ce9ca0dc",
    rows=500,
    tokens_per_row=45,
)
NUSAX_LANGUAGES = codes("ace ban bbc bjn bug en id jv mad min nij su")

NUSAX = Task(
    name="nusax_senti",
    type=SequenceClassification(text="text", labels=codes("negative neutral positive"), averages=("macro_f1",)),
    train=NUSAX_TRAIN,
    dev=NUSAX_TRAIN.other("validation", rows=100),
    test=NUSAX_TRAIN.other("test", rows=400),
    languages=NUSAX_LANGUAGES,
    dev_languages=NUSAX_LANGUAGES,
    main_score="macro_f1",
    description="Is the review negative, neutral or positive?",
    licence="CC BY-SA 4.0",
    citation="Winata et al. 2023, EACL, aclanthology.org/2023.eacl-main.57",
    url="https://github.com/IndoNLP/nusax",
)


# MASSIVE: what a spoken request wants of an assistant, 60 intents in 51 languages.
MASSIVE_INTENTS = codes(
    "alarm_query alarm_remove alarm_set audio_volume_down audio_volume_mute audio_volume_other audio_volume_up "
    "calendar_query calendar_remove calendar_set cooking_query cooking_recipe datetime_convert datetime_query "
    "email_addcontact email_query email_querycontact email_sendemail general_greet general_joke general_quirky "
    "iot_cleaning iot_coffee iot_hue_lightchange iot_hue_lightdim iot_hue_lightoff iot_hue_lighton iot_hue_lightup "
    "iot_wemo_off iot_wemo_on lists_createoradd lists_query lists_remove music_dislikeness music_likeness music_query "
    "music_settings news_query play_audiobook play_game play_music play_podcasts play_radio qa_currency qa_definition "
    "qa_factoid qa_maths qa_stock recommendation_events recommendation_locations recommendation_movies social_post "
    "social_query takeaway_order takeaway_query transport_query transport_taxi transport_ticket transport_traffic "
    "weather_query"
)
MASSIVE_TRAIN = Source(
    dataset="massive_intent",
    split="train",
    path="mteb/amazon_massive_intent",
    name="{language}",
    revision="4672e20407010da34463acc759c162ca9734bca6",
    language_codes={"zh": "zh-CN"},
    rows=11_514,
    tokens_per_row=12,
)
MASSIVE_LANGUAGES = codes(
    "af am ar az bn cy da de el en es fa fi fr he hi hu hy id is it ja jv ka km kn ko lv ml mn ms my nb nl pl pt ro ru "
    "sl sq sv sw ta te th tl tr ur vi zh"
)

MASSIVE = Task(
    name="massive_intent",
    type=SequenceClassification(text="text", labels=MASSIVE_INTENTS),
    train=MASSIVE_TRAIN,
    dev=MASSIVE_TRAIN.other("validation", rows=2_033),
    test=MASSIVE_TRAIN.other("test", rows=2_974),
    languages=MASSIVE_LANGUAGES,
    dev_languages=MASSIVE_LANGUAGES,
    main_score="accuracy",
    description="Which of 60 things is the assistant asked to do? Parallel in 50 languages here.",
    licence="Apache-2.0 (copy), CC BY 4.0 (data)",
    citation="FitzGerald et al. 2023, ACL, aclanthology.org/2023.acl-long.235",
    url="https://github.com/alexa/massive",
)


# Taxi1500: topics of Bible verses. Its authors give it on request: a folder holds <language>/<split>.tsv.
TAXI1500_TRAIN = Source(dataset="taxi1500", split="train", rows=860, tokens_per_row=40)

TAXI1500 = Task(
    name="taxi1500",
    type=SequenceClassification(
        text="verse",
        labels=codes("Recommendation Faith Description Sin Grace Violence"),
        averages=("macro_f1",),
    ),
    train=TAXI1500_TRAIN,
    dev=TAXI1500_TRAIN.other("validation", rows=106),
    test=TAXI1500_TRAIN.other("test", rows=111),
    languages=SIB200.languages,
    dev_languages=("en",),
    main_score="macro_f1",
    description="Which of six topics is the verse about? 1,500 languages in the original.",
    licence="labels Apache-2.0; verses by translation, given on request",
    citation="Ma et al. 2023, arxiv.org/abs/2305.08487",
    url="https://github.com/cisnlp/Taxi1500",
)


# Plain text in many languages, for masked language modelling beside other tasks.
MONO = Task(
    name="mono",
    type=MaskedLM(),
    train=Source(dataset="mono", split="train", rows=10_000, tokens_per_row=35),
    main_score="accuracy",
    description="Lines of text, as mono@sw+hi in the languages wanted; a folder mono/<language>/train.parquet.",
    licence="as the text in the folder",
    citation="none: the user's own text",
    url="https://huggingface.co/datasets/wikimedia/wikipedia",
)
