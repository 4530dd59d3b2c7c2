"""Small tokenizers of the three kinds the golden checkpoints need, trained on the words below.

`sentencepiece(size, legacy)` is Llama's and Mistral's kind: BPE on characters with `▁` for a space, 256 byte tokens to
fall back on, and `<s>` in front. `byte_level(size, flavour)` is GPT-2's, Qwen's and Llama 3's kind: BPE on bytes.
Each returns the text of a `tokenizer.json`, and the same arguments give the same text.
"""

import json

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

CORPUS = """\
The miller rose before the sun and walked down to the river. The wheel was still, and the water was high.
She opened the gate, and the wheel began to turn, slow at first, then faster and faster.
"Good morning," said the baker. "Is there flour for today's bread?" The miller said that there was.
The stone turned on the stone, and the grain between them was ground to flour, white and fine.
A quern is a small mill for the hand: one stone lies, the other turns, and the corn goes in at the top.
They carried twelve sacks to the market, and sold eleven; the last one they gave to the old man by the bridge.
It rained for 3 days, then for 7 more. On the 10th day, in the year 1784, the river came over the wall.
What could they do? They took the stones apart, cleaned them, and waited for the water to go down again.
"We've lost the dam," he said, "but we haven't lost the mill. I'm sure we'll grind again before the winter."
The children ran along the bank; the dog ran after the children; the cat looked at all of them and slept.
In the evening the light fell through the dust, and the room was warm, and the wheel turned in the dark.
There was a song for the work, and a song for the rest after the work, and everyone there knew the words.
Some words came from far away: café, naïve, Mühle, señor, smørbrød. The traveller wrote them in a small book.
One stone is not a mill, and one grain is not a loaf; yet the mill begins with a stone, and the loaf with a grain.
Then the wind turned to the north. The river froze, the wheel stood, and the miller told stories by the fire.
When the spring came, the ice broke, and the wheel turned again, and the whole town heard the sound of the mill.
"""

PROMPT = CORPUS.splitlines()[0]

# The words are split before BPE as each family's published tokenizers split them.
LLAMA_3_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN_SPLIT = LLAMA_3_SPLIT.replace(r"\p{N}{1,3}", r"\p{N}")


def train_bpe(vocab_size, pre_tokenizer, alphabet):
    """The vocabulary and merges of BPE trained on CORPUS, as tokenizer.json holds them."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizer
    trainer = trainers.BpeTrainer(vocab_size=vocab_size, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(CORPUS.splitlines(), trainer)
    model = json.loads(tokenizer.to_str())["model"]
    return model["vocab"], [tuple(pair) for pair in model["merges"]]


def bos_template(token, token_id):
    return processors.TemplateProcessing(
        single=f"{token} $A", pair=f"{token} $A {token}:1 $B:1", special_tokens=[(token, token_id)]
    )


def sentencepiece(size, legacy):
    """Llama's kind. `legacy` writes the space marks with a normalizer, as older files do; else Metaspace does it."""
    reserved = ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)]
    trained, merges = train_bpe(size - len(reserved), pre_tokenizers.Metaspace(), [])
    tokens = reserved + sorted(trained, key=trained.get)
    vocab = {token: index for index, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.BPE(vocab, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    if legacy:
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    tokenizer.post_processor = bos_template("<s>", 1)
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.add_special_tokens(reserved[:3])
    return finish(tokenizer, size)


def byte_level(size, flavour):
    """GPT-2's kind. `flavour` is gpt2, qwen or llama-3; its special tokens come last, as in the published ones."""
    special = {
        "gpt2": ["<|endoftext|>"],
        "qwen": ["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        "llama-3": ["<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>"],
    }[flavour]
    if flavour == "gpt2":
        split = pre_tokenizers.ByteLevel(add_prefix_space=False)
    else:
        pattern = Regex(LLAMA_3_SPLIT if flavour == "llama-3" else QWEN_SPLIT)
        split = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(pattern, "isolated"),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
            ]
        )
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    vocab, merges = train_bpe(size - len(special), split, alphabet)
    tokenizer = Tokenizer(models.BPE(vocab, merges, ignore_merges=flavour == "llama-3"))
    tokenizer.pre_tokenizer = split
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(special)
    bytes_back = processors.ByteLevel(trim_offsets=False)
    if flavour == "qwen":
        tokenizer.normalizer = normalizers.NFC()
    if flavour == "llama-3":
        begin = bos_template(special[0], tokenizer.token_to_id(special[0]))
        tokenizer.post_processor = processors.Sequence([bytes_back, begin])
    else:
        tokenizer.post_processor = bytes_back
    return finish(tokenizer, size)


def finish(tokenizer, size):
    if tokenizer.get_vocab_size() != size:
        raise SystemExit(f"the corpus gives {tokenizer.get_vocab_size()} tokens where {size} were asked for")
    return json.dumps(json.loads(tokenizer.to_str()), ensure_ascii=False, separators=(",", ":")) + "\n"
