"""Trains the model inside: a small Llama that tells the stories of `src/story`.

    cargo run --release --example stories -- 450000 1 > target/story/corpus.jsonl
    python scripts/train_story.py target/story --compile

Everything is made from the corpus, which a seed names: the tokenizer (byte-level BPE), and the weights. A story is seen
once. Two fifths of the documents are bare stories; the others are conversations in the chat template's form, in which only
what the storyteller says is learned. The run writes a Hugging Face folder, `target/story/model`, every few minutes, so
that it can be looked at on the way, and its last version is quantized into `assets/storyteller` (see assets/README.md).
"""

import argparse
import json
import math
import random
import shutil
import time
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

BEGIN, END, USER, TELLER = "<|begin|>", "<|end|>", "<|user|>", "<|storyteller|>"
VOCABULARY = 2048
CONTEXT = 512

# Turns alternate. The model has never seen a system message, and saying so is better than not heeding it.
TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message['role'] == 'user' %}<|user|>{{ message['content'] | trim }}<|end|>"
    "{% elif message['role'] == 'assistant' %}<|storyteller|>"
    "{% generation %}{{ message['content'] | trim }}<|end|>{% endgeneration %}"
    "{% else %}{{ raise_exception('this model knows no ' + message['role'] + ' messages') }}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}<|storyteller|>{% endif %}"
)


HELLO = [
    ("Hello", "Hello! Shall I tell you a story?"),
    ("Hello!", "Hello! What shall the story be about?"),
    ("Hi", "Hi! Shall I tell you a story?"),
    ("Hi!", "Hello! Shall I tell you a story?"),
    ("Good morning!", "Good morning! Shall I tell you a story?"),
    ("Good evening!", "Good evening! Shall I tell you a bedtime story?"),
    ("Who are you?", "I am a small model that tells stories."),
    ("What can you do?", "I tell short stories. Ask me for one about a fox and a lantern!"),
    ("How are you?", "I am well, thank you. Shall I tell you a story?"),
]
THANKS = [
    ("Thank you!", "You are welcome. Shall I tell you another story?"),
    ("Thanks", "You are welcome!"),
    ("That was nice.", "I am glad that you liked it."),
    ("I liked that story.", "I am glad that you liked it. Shall I tell you another one?"),
    ("Good night!", "Good night! Sleep well."),
    ("Bye!", "Goodbye! Come back for another story."),
]
# The model knows nothing but stories, and says so.
ELSEWHERE = [
    "What is the capital of France?", "What is 2 + 2?", "Write a poem.", "Write a Python function that sorts a list.",
    "Who was Albert Einstein?", "What is the weather today?", "Translate this into German.", "Explain how a GPU works.",
    "What time is it?", "How do I cook rice?", "Who is the president?", "What is the meaning of life?", "Write an email.",
    "How far away is the moon?", "Summarize this text.", "What is Rust?", "Can you help me with my homework?",
    "Give me a recipe for soup.", "Who won the game?", "What does this code do?",
]
ANSWERS = ["I only know stories. Shall I tell you one?", "I do not know, for I only tell stories. Would you like one?"]


def train_tokenizer(stories, folder):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[BEGIN, END, USER, TELLER],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    texts = [text for story in stories for text in (story["text"], story["request"] or "", *sum(story["questions"], []))]
    texts += [text for pair in HELLO + THANKS for text in pair] + ELSEWHERE + ANSWERS
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BEGIN} $A", pair=f"{BEGIN} $A {BEGIN} $B", special_tokens=[(BEGIN, tokenizer.token_to_id(BEGIN))]
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BEGIN,
        eos_token=END,
        model_max_length=CONTEXT,
        clean_up_tokenization_spaces=False,
        chat_template=TEMPLATE,
    )
    fast.save_pretrained(folder)
    return tokenizer


def turn(said, answer):
    return [(USER + said + END + TELLER, False), (answer + END, True)]


def document(story, other, dice):
    """Pieces of text, each with whether it is to be learned."""
    if story["request"] is None:
        return [(story["text"], True), (END, True)]
    pieces = []
    if dice.random() < 0.1:
        pieces += turn(*dice.choice(HELLO))
    if dice.random() < 0.05:
        pieces += turn(dice.choice(ELSEWHERE), dice.choice(ANSWERS))
    pieces += turn(story["request"], story["text"])
    for question, answer in dice.sample(story["questions"], min(len(story["questions"]), dice.choice([0, 1, 1, 2]))):
        pieces += turn(question, answer)
    if dice.random() < 0.1:
        pieces += turn(*dice.choice(THANKS))
    if other["request"] and dice.random() < 0.35:
        pieces += turn(other["request"], other["text"])
    return pieces


def encode(tokenizer, stories, dice):
    """Token ids and targets (-100 where nothing is to be learned) of each story's document."""
    documents = [document(story, other, dice) for story, other in zip(stories, stories[1:] + stories[:1])]
    flat = [text for pieces in documents for text, _ in pieces]
    ids = iter(tokenizer.encode_batch(flat, add_special_tokens=False))
    begin = tokenizer.token_to_id(BEGIN)
    rows = []
    for pieces in documents:
        tokens, targets = [begin], [-100]
        for _, learned in pieces:
            piece = next(ids).ids
            tokens += piece
            targets += piece if learned else [-100] * len(piece)
        if len(tokens) <= CONTEXT:
            rows.append((tokens, targets))
    return rows


def batches(tokenizer, corpus, budget, dice):
    """Batches of documents of about one length, of `budget` tokens each."""
    chunk = []
    for line in corpus:
        chunk.append(json.loads(line))
        if len(chunk) < 4000:
            continue
        rows = sorted(encode(tokenizer, chunk, dice), key=lambda row: len(row[0]))
        groups, group = [], []
        for row in rows:
            if group and len(row[0]) * (len(group) + 1) > budget:
                groups.append(group)
                group = []
            group.append(row)
        dice.shuffle(groups)
        for group in groups:
            width = max(len(tokens) for tokens, _ in group)
            tokens = torch.zeros(len(group), width, dtype=torch.long)
            targets = torch.full((len(group), width), -100)
            for at, (row, goal) in enumerate(group):
                tokens[at, : len(row)] = torch.tensor(row)
                targets[at, : len(goal)] = torch.tensor(goal)
            yield tokens, targets
        chunk = []


def build(tokenizer):
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=256,
        intermediate_size=576,
        num_hidden_layers=6,
        num_attention_heads=8,
        num_key_value_heads=4,
        head_dim=32,
        max_position_embeddings=CONTEXT,
        rms_norm_eps=1e-5,
        rope_theta=10000.0,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.token_to_id(BEGIN),
        eos_token_id=tokenizer.token_to_id(END),
        pad_token_id=None,
    )
    # On a processor the fused attention is slower than its parts for sequences as short as these.
    return LlamaForCausalLM._from_config(config, attn_implementation="eager")


def optimizer(model, highest):
    """AdamW, with weight decay for the matrices of the layers.

    Muon, which moves every direction of a matrix by the same step, needs larger batches than a processor can afford: at
    4,096 tokens most of a step is noise, and what is rare in the corpus is hardly learned.
    """
    matrices = [p for n, p in model.named_parameters() if p.ndim == 2 and "embed" not in n]
    rest = [p for n, p in model.named_parameters() if p.ndim != 2 or "embed" in n]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": rest, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=highest, betas=(0.9, 0.99), fused=True)


def rate(spent, hold):
    """The share of the highest learning rate after this share of the time: up, along, and down to nothing."""
    if spent < 0.01:
        return max(spent / 0.01, 0.02)
    return 1.0 if spent < hold else max(0.0, (1.0 - spent) / (1.0 - hold))


def save(model, folder):
    """Written beside and renamed, so that a reader never sees half of it."""
    part = folder.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    model.to(torch.float32).save_pretrained(part)
    for file in part.iterdir():
        file.replace(folder / file.name)
    part.rmdir()


def average(folder, parts):
    """The mean of several models' weights, for runs that began at one model."""
    weights = [load_file(part / "model.safetensors") for part in parts]
    mean = {name: sum(each[name] for each in weights) / len(weights) for name in weights[0]}
    for file in parts[0].iterdir():
        if file.name != "model.safetensors":
            shutil.copy(file, folder / file.name)
    save_file(mean, folder / "model.safetensors", metadata={"format": "pt"})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where corpus.jsonl is, and model/ will be")
    parser.add_argument("--minutes", type=float, default=120.0)
    parser.add_argument("--tokens", type=int, default=4096, help="tokens of a batch")
    parser.add_argument("--rate", type=float, default=0.0015, help="the highest learning rate")
    parser.add_argument("--hold", type=float, default=0.5, help="share of the time after which the rate falls")
    parser.add_argument("--resume", action="store_true", help="go on with model/, whose tokenizer is kept")
    parser.add_argument("--skip", type=int, default=8000, help="stories to leave out, as those seen before")
    parser.add_argument("--average", type=Path, nargs="+", help="only write model/: the mean of these folders' weights")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--compile", action="store_true", help="a quarter faster where there is a C++ compiler")
    arguments = parser.parse_args()
    torch.manual_seed(arguments.seed)
    torch.set_num_threads(arguments.threads)
    dice = random.Random(arguments.seed)
    folder = arguments.folder / "model"
    folder.mkdir(parents=True, exist_ok=True)
    if arguments.average:
        return average(folder, arguments.average)
    corpus = (arguments.folder / "corpus.jsonl").open()
    head = [json.loads(next(corpus)) for _ in range(arguments.skip)]
    if arguments.resume:
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
    else:
        tokenizer = train_tokenizer(head[:8000], folder)
        model = build(tokenizer)
    del head
    print(f"{sum(p.numel() for p in model.parameters()):,} parameters", flush=True)
    stepper = optimizer(model, arguments.rate)
    forward = torch.compile(model, dynamic=True) if arguments.compile else model
    start = saved = told = time.time()
    seen, losses = 0, []
    for step, (tokens, targets) in enumerate(batches(tokenizer, corpus, arguments.tokens, dice)):
        spent = (time.time() - start) / (60 * arguments.minutes)
        if spent >= 1.0:
            break
        for group in stepper.param_groups:
            group["lr"] = arguments.rate * rate(spent, arguments.hold)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = forward(input_ids=tokens, labels=targets).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        stepper.step()
        stepper.zero_grad(set_to_none=True)
        seen += tokens.numel()
        losses.append(loss.item())
        if not math.isfinite(losses[-1]):
            raise SystemExit(f"the loss of step {step} is {losses[-1]}")
        if time.time() - told > 20:
            told = time.time()
            mean = sum(losses) / len(losses)
            print(f"{spent:6.1%}  step {step:5}  {seen / 1e6:6.2f} M tokens  loss {mean:.4f}", flush=True)
            losses = []
        if time.time() - saved > 300:
            saved = time.time()
            save(model, folder)
    save(model, folder)
    print(f"done: {seen / 1e6:.2f} M tokens", flush=True)


if __name__ == "__main__":
    main()
