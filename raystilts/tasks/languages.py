"""Language codes, and what data sets on the hub call the same languages."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

from raystilts.errors import UserError

#: Ours (ISO 639-1, three letters where there is no two-letter code): ISO 639-3 with the script
#: that FLORES-200 uses, and the English name.
_TABLE = """
af afr_Latn Afrikaans;am amh_Ethi Amharic;ar arb_Arab Arabic;az azj_Latn Azerbaijani
bbj bbj_Latn Ghomala;be bel_Cyrl Belarusian;bem bem_Latn Bemba;bg bul_Cyrl Bulgarian
bm bam_Latn Bambara;bn ben_Beng Bengali;br bre_Latn Breton;bs bos_Latn Bosnian;ca cat_Latn Catalan
cs ces_Latn Czech;cy cym_Latn Welsh;da dan_Latn Danish;de deu_Latn German;ee ewe_Latn Ewe
el ell_Grek Greek;en eng_Latn English;eo epo_Latn Esperanto;es spa_Latn Spanish
et est_Latn Estonian;eu eus_Latn Basque;fa pes_Arab Persian;fi fin_Latn Finnish
fo fao_Latn Faroese;fon fon_Latn Fon;fr fra_Latn French;fy fry_Latn Frisian;ga gle_Latn Irish
gd gla_Latn Gaelic;gl glg_Latn Galician;gu guj_Gujr Gujarati;ha hau_Latn Hausa;he heb_Hebr Hebrew
hi hin_Deva Hindi;hr hrv_Latn Croatian;ht hat_Latn Haitian;hu hun_Latn Hungarian
hy hye_Armn Armenian;ia ina_Latn Interlingua;id ind_Latn Indonesian;ie ile_Latn Interlingue
ig ibo_Latn Igbo;io ido_Latn Ido;is isl_Latn Icelandic;it ita_Latn Italian;ja jpn_Jpan Japanese
jv jav_Latn Javanese;ka kat_Geor Georgian;kk kaz_Cyrl Kazakh;km khm_Khmr Khmer;ko kor_Hang Korean
ku kmr_Latn Kurdish;la lat_Latn Latin;lg lug_Latn Ganda;ln lin_Latn Lingala;lt lit_Latn Lithuanian
luo luo_Latn Luo;lv lvs_Latn Latvian;mk mkd_Cyrl Macedonian;ml mal_Mlym Malayalam
mn khk_Cyrl Mongolian;mos mos_Latn Mossi;mr mar_Deva Marathi;ms zsm_Latn Malay;my mya_Mymr Burmese
nb nob_Latn Norwegian;nl nld_Latn Dutch;nn nno_Latn Nynorsk;ny nya_Latn Chichewa
oc oci_Latn Occitan;om gaz_Latn Oromo;pa pan_Guru Punjabi;pcm pcm_Latn Naija;pl pol_Latn Polish
pt por_Latn Portuguese;qu quy_Latn Quechua;ro ron_Latn Romanian;ru rus_Cyrl Russian
rn run_Latn Rundi;rw kin_Latn Kinyarwanda;sk slk_Latn Slovak;sl slv_Latn Slovenian;sn sna_Latn Shona
so som_Latn Somali;st sot_Latn Sotho;su sun_Latn Sundanese;sq als_Latn Albanian;sr srp_Cyrl Serbian;sv swe_Latn Swedish
sw swh_Latn Swahili;ta tam_Taml Tamil;te tel_Telu Telugu;th tha_Thai Thai;ti tir_Ethi Tigrinya
tk tuk_Latn Turkmen;tl tgl_Latn Tagalog;tn tsn_Latn Tswana;tr tur_Latn Turkish;tt tat_Cyrl Tatar
tw twi_Latn Twi;ug uig_Arab Uyghur;uk ukr_Cyrl Ukrainian;ur urd_Arab Urdu;uz uzn_Latn Uzbek
vi vie_Latn Vietnamese;wo wol_Latn Wolof;xh xho_Latn Xhosa;yi ydd_Hebr Yiddish;yo yor_Latn Yoruba
zh zho_Hans Chinese;zu zul_Latn Zulu
"""

_ENTRIES = {
    code: (flores, name)
    for code, flores, name in (entry.split(" ", 2) for line in _TABLE.split("\n") if line for entry in line.split(";"))
}

#: What a language code looks like: ISO 639, with a script or region where needed.
_CODE = re.compile(r"[A-Za-z][A-Za-z0-9]*([-_][A-Za-z0-9]+)*")

#: Codes that others use, or that ISO 639 has withdrawn, and ours.
_RETIRED = {
    "no": "nb", "nor": "nb", "iw": "he", "in": "id", "ji": "yi", "jw": "jv", "mo": "ro", "sh": "sr", "scc": "sr",
    "scr": "hr", "cn": "zh", "cz": "cs", "dk": "da", "gr": "el", "jp": "ja", "kr": "ko", "se": "sv", "ua": "uk",
    "zh-cn": "zh", "zh_cn": "zh", "zh-Hans": "zh", "zho": "zh", "cmn": "zh", "fil": "tl", "tgl": "tl", "pes": "fa",
    "prs": "fa", "swh": "sw", "swa": "sw", "arb": "ar", "ara": "ar", "als": "sq", "ory": "or", "aka": "tw", "ak": "tw",
} | {flores.split("_")[0]: code for code, (flores, _) in _ENTRIES.items() if len(code) == 2}  # fmt: skip

#: A language with a region or another script: `en-US`, `zh_Hant`. Of regions in lower case only some that are no
#: languages too: `en-ca` may be English with Catalan.
_VARIETY = re.compile(r"([a-z]{2,3})[-_]([A-Z]{2}|[A-Z][a-z]{3}|[0-9]{3}|us|gb|au|nz)")


def language_name(code: str) -> str:
    """The English name of a language, as Universal Dependencies spell it; the code itself if
    unknown."""
    return _ENTRIES[code][1] if code in _ENTRIES else code


def every_code() -> frozenset[str]:
    """All codes that are known: ours, and of ISO 639-3 those of the same languages and of what they are part of."""
    individual = {flores.split("_")[0] for flores, _ in _ENTRIES.values()}
    return frozenset({*_ENTRIES, *individual, *(code for code in _RETIRED if len(code) == 3)})


def flores_code(code: str) -> str:
    """The code of FLORES-200, as ``deu_Latn``; the code itself if unknown."""
    return _ENTRIES[code][0] if code in _ENTRIES else code


def iso3_code(code: str) -> str:
    """The ISO 639-3 code of the individual language, as ``deu``; the code itself if unknown."""
    return flores_code(code).split("_")[0]


@cache
def _codes_of_names() -> dict[str, str]:
    """Names in lower case, codes of ISO 639-3 and with the script of FLORES-200, to ours."""
    found: dict[str, str] = {}
    for code, (flores, name) in _ENTRIES.items():
        iso3, script = flores.split("_")
        found |= dict.fromkeys((code, name.casefold(), iso3), code)
        found |= {f"{one}{mark}{script}": code for one in (code, iso3) for mark in "-_"}
    return found


def code_of(name: str) -> tuple[str, str]:
    """Our code of a language by a name or code of it, and the region or other script that it names; "" where neither.

    Names are known in any case, codes as they are written, those of English in any case: `English`, `eng`, `eng_Latn`
    and `EN` are ``("en", "")``, `en-US` is ``("en", "US")``.
    """
    text, known = name.strip(), _codes_of_names()
    code = known.get(text) or known.get(text.casefold(), "")
    if code and (text in known or code == "en" or text.casefold() == language_name(code).casefold()):
        return code, ""
    found = _VARIETY.fullmatch(text)
    if found and found[1] in known:
        return known[found[1]], found[2].upper() if len(found[2]) == 2 else found[2]
    return "", ""


def other_name(language: str, names: Iterable[str]) -> str:
    """The one of some names that is another name of a language; empty where none is, or several are."""
    code = code_of(language)[0] or language
    found = {name: code_of(name)[1] for name in names if name != language and code_of(name)[0] == code}
    plain = [name for name, variety in found.items() if not variety] or list(found)
    return plain[0] if len(plain) == 1 else ""


def english_names(names: Iterable[str]) -> list[str]:
    """Those names of languages that are English and not written `en`.

    Varieties such as `en-US` are among them only where they are of one region and nothing else is English: two of them
    are two languages.
    """
    found = {name: code_of(name)[1] for name in names if code_of(name)[0] == "en"}
    one = len(set(found.values())) == 1
    return [name for name, region in found.items() if name != "en" and (one or not region)]


def check_language(value: object) -> str:
    """The value, if it can be a language code.

    Raises:
        UserError: If it is not a string: YAML reads an unquoted ``no`` as false.
    """
    if isinstance(value, bool):
        raise UserError(
            f"language: {value!r} is not a code. YAML reads an unquoted no as false: write nb for Norwegian Bokmål, "
            'or put quotes around "no"'
        )
    if not isinstance(value, str) or not _CODE.fullmatch(value):
        raise UserError(f'language: {str(value)[:60]!r} is not a code; give a string such as "de"{retired(value)}')
    return value


def retired(value: object) -> str:
    """A hint where a language is asked for by a code that is no longer used, or is another one's; else nothing."""
    if not isinstance(value, str) or value not in _RETIRED:
        return ""
    new = _RETIRED[value]
    return f" ({value!r} is written {new!r} here, {language_name(new)})"


def codes(text: str) -> tuple[str, ...]:
    """Words of a line as a tuple: language codes, or label names."""
    return tuple(text.split())
