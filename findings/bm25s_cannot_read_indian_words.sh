#!/bin/sh
# bm25s: in Hindi, Bengali, Tamil and Telugu most words are not in the index, and what is there are pieces.
#
# A guess: BM25 over words works wherever words are written with spaces; only Chinese, Japanese or Thai need a segmenter.
# What happens: the pattern of a word (as in scikit-learn's vectorizers) takes two or more letters in a row, and vowel
# signs are no letters for Python. Words end at every sign, and pieces of one letter are dropped: "पानी जीवन है" (water is
# life) leaves one piece, and the same in Telugu nothing: asked for by its own text, that document has the score 0.
# English, Hebrew and Amharic are whole. Nothing is said, and k documents come back all the same.
# What to do: a tokenizer with the `regex` package's \w, or a split at spaces.
#
# Versions: bm25s 0.3.16, numpy 2.4.6; Python 3.11.
# Output seen:
#   English  words that are whole: 100%; the last document for its own text 0.94; its tokens ['water', 'is', 'life']
#   Hebrew   words that are whole: 100%; the last document for its own text 0.84; its tokens ['מים', 'חיים']
#   Amharic  words that are whole: 100%; the last document for its own text 1.06; its tokens ['ውሃ', 'ሕይወት', 'ነው']
#   Hindi    words that are whole:   8%; the last document for its own text 0.44; its tokens ['वन']
#   Bengali  words that are whole:   0%; the last document for its own text 0.39; its tokens ['বন']
#   Tamil    words that are whole:   0%; the last document for its own text 0.51; its tokens ['உய']
#   Telugu   words that are whole:  12%; the last document for its own text 0.00; its tokens []
#
# Ends with 0 where this is still so, with 1 where it has changed.
set -eu

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check bm25s==0.3.16 numpy==2.4.6

"$folder/env/bin/python" - <<'PYTHON'
import bm25s

sentences = {
    "English": ["Delhi is the capital of India", "Hindi is a language", "water is life"],
    "Hebrew": ["ירושלים עיר הבירה", "עברית שפה", "מים חיים"],
    "Amharic": ["አዲስ አበባ ዋና ከተማ ናት", "አማርኛ ቋንቋ ነው", "ውሃ ሕይወት ነው"],
    "Hindi": ["दिल्ली भारत की राजधानी है", "हिन्दी एक भाषा है", "पानी जीवन है"],
    "Bengali": ["ঢাকা বাংলাদেশের রাজধানী", "বাংলা একটি ভাষা", "পানি জীবন"],
    "Tamil": ["சென்னை தமிழ்நாட்டின் தலைநகரம்", "தமிழ் ஒரு மொழி", "நீர் உயிர்"],
    "Telugu": ["ఢిల్లీ భారతదేశ రాజధాని", "తెలుగు ఒక భాష", "నీరు జీవితం"],
}
whole, scores = {}, {}
for language, documents in sentences.items():
    tokens = bm25s.tokenize(documents, stopwords=None, return_ids=False, show_progress=False)
    words = [word.lower() for document in documents for word in document.split() if len(word) > 1]
    kept = [token for document in tokens for token in document]
    whole[language] = sum(word in kept for word in words) / len(words)
    index = bm25s.BM25()
    index.index(bm25s.tokenize(documents, stopwords=None, show_progress=False), show_progress=False)
    asked = bm25s.tokenize(documents[2], stopwords=None, show_progress=False)
    scores[language] = float(index.retrieve(asked, k=1, show_progress=False)[1][0, 0])
    print(f"{language:8} words that are whole: {whole[language]:4.0%}; the last document for its own text "
          f"{scores[language]:.2f}; its tokens {list(tokens[2])}")

indic = ("Hindi", "Bengali", "Tamil", "Telugu")
same = (
    all(whole[language] < 0.3 for language in indic) and scores["Telugu"] == 0
    and all(whole[language] == 1 for language in ("English", "Hebrew", "Amharic"))
)

print("as described" if same else "CHANGED: not as described above")
raise SystemExit(not same)
PYTHON
