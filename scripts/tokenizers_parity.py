"""Makes four small tokenizers of the kinds that models have, 2,000 lines, and the ids that transformers gives them.

    python scripts/tokenizers_parity.py            writes assets/tokenizers
    python scripts/tokenizers_parity.py --check    makes them elsewhere, and compares with the committed ones

`lines.json` has the lines: mixed scripts, code, emoji and control characters, from a seeded generator. Each KIND has
`tokenizer.json`, `tokenizer_config.json` and `ids.json`: for each line the CRC-32 of its ids with special tokens (each
four bytes, little-endian), and that of the text they decode to; and the ids of some lines in full, for a reader. It needs
the packages of scripts/requirements-golden.txt.
"""

import collections
import json
import math
import os
import random
import re
import struct
import sys
import tempfile
import unicodedata
import zlib
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import transformers
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

import golden_tokenizers as kinds

ROOT = Path(__file__).resolve().parent.parent / "assets" / "tokenizers"
LINES = 2000
IN_FULL = 20
SCRIPTS = [
    ("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", 6),
    ("àâçéèêëîïôùûüÿœæßñøåÀÉÖÜİıſǅ", 2),
    ("абвгдежзийклмнопрстуфхцчшщъыьэюяЁё", 2),
    ("αβγδεζηθικλμνξοπρστυφχψωςΆΩ", 1),
    ("אבגדהוזחטיכלמנסעפצקרשת", 1),
    ("ابتثجحخدذرزسشصضطظعغفقكلمنهويًٌٍَُِّْ", 1),
    ("कखगघचछजझटठडढतथदधनपफबभमयरलवशषसहािीुूेैोौंः्", 1),
    ("กขคงจฉชซญดตถทธนบปผฝพฟภมยรลวสหอะาิีึืุูเแโใไ่้๊๋", 1),
    ("一丁七万丈三上下不与世中丸主久之乍乎乏乗石臼水車", 2),
    ("あいうえおかきくけこさしすせそアイウエオガギグゲゴー", 1),
    ("가각간갇갈감갑값갓강개객거건걸검것게겨견", 1),
    ("0123456789٠١٢٣٤٥٦٧٨٩½²Ⅷ", 2),
]
MARKS = ["\u0301", "\u0300", "\u0323", "\u20dd", "\u200d", "\u200b", "\ufeff", "\u00ad", "\u202e", "\ufe0f"]
EMOJI = ["😀", "👍🏽", "👩‍👩‍👧", "🧱", "🇩🇪", "❤️", "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f", "✨", "🫠", "#️⃣"]
SPACES = [" ", "  ", "   ", "\t", "\n", "\r\n", "\n\n", "\u00a0", "\u3000", "\u2003", " \n ", "\x0b", "\x0c", "\x85", "\u2028"]
CONTROL = [chr(code) for code in (*range(0, 9), *range(14, 32), 127, 0x80, 0x9f, 0xfffd, 0xffff, 0x10ffff, 0xe000)]
CODE = """fn main() { let x = &mut v[i..=j]; } // ok
def f(a, *b, **c): return {k: v for k, v in a.items() if v != 'x'}
for (int i=0;i<n;++i) a[i]^=0xDEADBEEF>>i;
<div class="a-b">&amp;&nbsp;</div>
SELECT * FROM t WHERE x LIKE '%y%' AND z>=1e-5;
{"key": [1, -2.5e+10, null, true], "\\u00e9": "\\n"}
https://example.org/~a/b?c=d&e=%20#f
$ git log --oneline | head -n 3 && echo "$HOME"
#include <stdio.h>
\\begin{align} x^2 &= \\frac{1}{2} \\\\ \\end{align}""".splitlines()
SPECIAL = ["<s>", "</s>", "<unk>", "[CLS]", "[SEP]", "[UNK]", "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<0x41>", "▁", "Ġ", "##", "'s", "'LL", "I've"]


def lines():
    """LINES texts, all different."""
    dice = random.Random(1784)
    made = {}
    while len(made) < LINES:
        pieces = [piece(dice) for _ in range(dice.randint(1, 9))]
        made["".join(pieces)[: dice.choice((8, 40, 120))]] = None
    return list(made)


def piece(dice):
    kind = dice.random()
    if kind < 0.5:
        alphabet = dice.choices([letters for letters, _ in SCRIPTS], [weight for _, weight in SCRIPTS])[0]
        word = "".join(dice.choice(alphabet) for _ in range(dice.randint(1, 9)))
        return word + dice.choice(SPACES[:4] + ["", ", ", ".", "! ", "'s ", "…", "—"])
    if kind < 0.6:
        return " ".join(dice.choice(kinds.CORPUS.split()) for _ in range(dice.randint(1, 6)))
    if kind < 0.7:
        code = dice.choice(CODE)
        begin = dice.randrange(len(code))
        return code[begin : begin + dice.randint(1, 30)]
    groups = (EMOJI, MARKS, SPACES, CONTROL, SPECIAL)
    if kind < 0.95:
        return "".join(dice.choice(dice.choice(groups)) for _ in range(dice.randint(1, 3)))
    return dice.choice(("a", " ", "é", "\u0300", "0", "-", "=", "\n", "石")) * dice.randint(2, 40)


def pieces(mark):
    """How often parts of words come in the corpus. ▁ marks the first of a word, ## each but the first."""
    counts = collections.Counter()
    for word in re.findall(r"\w+|[^\w\s]", kinds.CORPUS.lower() if mark == "##" else kinds.CORPUS):
        word = "▁" + word if mark == "▁" else word
        for begin in range(len(word)):
            for end in range(begin + 1, min(len(word), begin + 7) + 1):
                counts[("##" if mark == "##" and begin else "") + word[begin:end]] += 1
    # Of as many, the first in the alphabet.
    return collections.Counter(dict(sorted(counts.items())))


def unigram():
    """T5's and many encoders' kind: a language model over pieces, with bytes to fall back on."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC(), normalizers.Replace(kinds.Regex(" {2,}"), " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    reserved = ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)]
    # The trainers of these two kinds give another vocabulary each time, so it is counted.
    counts = pieces("▁")
    total = sum(counts.values())
    vocab = [(token, 0.0) for token in reserved]
    vocab += [(token, round(math.log(count / total), 4)) for token, count in counts.most_common(500)]
    tokenizer.model = models.Unigram(vocab, unk_id=0, byte_fallback=True)
    tokenizer.post_processor = kinds.bos_template("<s>", 1)
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace(prepend_scheme="always")])
    tokenizer.add_special_tokens(reserved[:3])
    return tokenizer.to_str()


def word_piece():
    """BERT's kind: words, and the pieces that they go on with."""
    reserved = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    alphabet = sorted({char for letters, _ in SCRIPTS[:4] for char in unicodedata.normalize("NFD", letters.lower())} | set("0123456789.,!?'\"-"))
    tokens = reserved + alphabet + ["##" + char for char in alphabet]
    tokens += [token for token, _ in pieces("##").most_common(500) if token not in tokens]
    tokenizer = Tokenizer(models.WordPiece({token: index for index, token in enumerate(tokens)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(reserved)
    ids = [(token, tokenizer.token_to_id(token)) for token in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=ids
    )
    tokenizer.decoder = decoders.WordPiece()
    return tokenizer.to_str()


KINDS = {
    "byte-level": (lambda: kinds.byte_level(600, "qwen"), {"eos_token": "<|im_end|>"}),
    "sentencepiece": (lambda: kinds.sentencepiece(600, True), {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}),
    "unigram": (unigram, {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}),
    "wordpiece": (word_piece, {"pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]", "unk_token": "[UNK]"}),
}


def crc(ids):
    return zlib.crc32(struct.pack(f"<{len(ids)}I", *ids))


def make(root):
    root.mkdir(parents=True, exist_ok=True)
    texts = lines()
    body = ",\n".join(json.dumps(text) for text in texts)
    (root / "lines.json").write_text(f"[\n{body}\n]\n", encoding="utf-8")
    for name, (text, settings) in KINDS.items():
        folder = root / name
        folder.mkdir(exist_ok=True)
        compact = json.dumps(json.loads(text()), ensure_ascii=False, separators=(",", ":"))
        (folder / "tokenizer.json").write_text(compact + "\n", encoding="utf-8")
        settings = {"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False, **settings}
        (folder / "tokenizer_config.json").write_text(json.dumps(settings) + "\n", encoding="utf-8")
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        ids = [tokenizer(text)["input_ids"] for text in texts]
        decoded = [tokenizer.decode(line, skip_special_tokens=True) for line in ids]
        found = {
            "ids": [crc(line) for line in ids],
            "decoded": [zlib.crc32(line.encode()) for line in decoded],
            "first": ids[:IN_FULL],
            "first_decoded": decoded[:IN_FULL],
        }
        rows = [f"  {json.dumps(key)}: {json.dumps(value, separators=(',', ':'))}" for key, value in found.items()]
        (folder / "ids.json").write_text("{\n" + ",\n".join(rows) + "\n}\n", encoding="utf-8")


def main():
    if "--check" not in sys.argv:
        return make(ROOT)
    with tempfile.TemporaryDirectory() as other:
        make(Path(other))
        made = {path.relative_to(other): path.read_bytes() for path in Path(other).rglob("*.json")}
    different = [str(name) for name, data in made.items() if (ROOT / name).read_bytes() != data]
    if different:
        raise SystemExit(f"not what was committed: {', '.join(sorted(different))}")


if __name__ == "__main__":
    main()
