#!/bin/sh
# sacremoses: the Moses tokenizer cuts Thai, Burmese and Khmer words at their vowel signs and tone marks.
#
# A guess: a text without spaces stays in one piece, or is cut between words; a combining mark stays with its letter.
# What happens: tokens that are one combining mark alone, and words cut in two there; Hindi, Tamil and Lao are whole.
# A score over such tokens (BLEU, chrF over words, tags) is of pieces of syllables.
# What to do: a segmenter of the language, or scores over characters.
#
# Versions: sacremoses 0.2.0; Python 3.11.
# Output seen:
#   th: ['ภาษาไทยเป', '็', 'นภาษาที', '่', 'น', '่', 'าสนใจ']; 3 of 7 are a mark alone
#   my: ['မြန', '်', 'မာဘာသာစကား']; 1 of 3 are a mark alone
#   km: ['ភាសាខ', '្', 'មែរ']; 1 of 3 are a mark alone
#   lo: ['ພາສາລາວ']; 0 of 1 are a mark alone
#   hi: ['हिन्दी', 'भाषा']; 0 of 2 are a mark alone
#   ta: ['தமிழ்', 'மொழி']; 0 of 2 are a mark alone
#
# Ends with 0 where this is still so, with 1 where it has changed.
set -eu

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check sacremoses==0.2.0

"$folder/env/bin/python" - <<'PYTHON'
import unicodedata

from sacremoses import MosesTokenizer

texts = {
    "th": "ภาษาไทยเป็นภาษาที่น่าสนใจ", "my": "မြန်မာဘာသာစကား", "km": "ភាសាខ្មែរ",
    "lo": "ພາສາລາວ", "hi": "हिन्दी भाषा", "ta": "தமிழ் மொழி",
}
alone = {}
for language, text in texts.items():
    tokens = MosesTokenizer(lang=language).tokenize(text, escape=False)
    alone[language] = sum(all(unicodedata.category(c).startswith("M") for c in token) for token in tokens)
    print(f"{language}: {tokens}; {alone[language]} of {len(tokens)} are a mark alone")

same = all((alone[language] > 0) == (language in ("th", "my", "km")) for language in texts)

print("as described" if same else "CHANGED: not as described above")
raise SystemExit(not same)
PYTHON
