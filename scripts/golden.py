"""Makes the golden checkpoints in assets/golden: tiny random models, and what transformers computes with them.

    python scripts/golden.py                 writes all of them (or those named)
    python scripts/golden.py --check         makes them again elsewhere, and compares with the committed ones
    python scripts/golden.py --search NAME   prints the first seed that passes the conditions in `conditions`

It needs the packages of scripts/requirements-golden.txt; `make fixtures` makes a virtual environment with them.
"""

import argparse
import json
import os
import sys
import tempfile
import zlib
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import numpy
import safetensors.torch
import tokenizers
import torch
import transformers

import golden_tokenizers as kinds
from golden_specs import SPECS

ROOT = Path(__file__).resolve().parent.parent / "assets" / "golden"
POSITIONS = 48
PROMPT = 8
GREEDY = 24
# A greedy token is a fair test when no engine's rounding can turn it: the runner-up is this many deviations behind.
MIN_GAP = 1e-2
# What an ablation (one feature of the configuration changed) must change the logits by, in their deviations: five times
# what an engine may be wrong by.
MIN_ABLATION = 5e-4


def deviation(name, shape, tied):
    """The deviation of a tensor's values: activations stay near 1, and attention has clear favourites."""
    if name.endswith("bias"):
        return 0.3
    if "norm" in name or ".ln_" in name:
        return 0.2
    if any(part in name for part in ("embed_tokens", "wte", "wpe")):
        return 0.25 if tied else 1.0
    inputs = shape[0] if ".c_" in name else shape[1]
    gain = {"q_proj": 1.6, "k_proj": 1.6, "c_attn": 1.4, "lm_head": 2.0}
    return next((g for part, g in gain.items() if part in name), 1.0) / inputs**0.5


def weights(spec, names, tokenizer):
    """The tensors as stored. Each has its own generator, so that one's shape does not change another's values."""
    tied = "lm_head.weight" not in names
    endings = ("embed_tokens.weight", "wte.weight") if tied else "lm_head.weight"
    head = next(name for name in names if name.endswith(endings))
    tensors = {}
    for name, shape in names.items():
        generator = numpy.random.Generator(numpy.random.PCG64([spec["seed"], zlib.crc32(name.encode())]))
        values = generator.standard_normal(shape) * deviation(name, shape, tied)
        if ("norm" in name or ".ln_" in name) and name.endswith("weight"):
            values += 1.0
        if name == head:
            values *= favour(spec, shape[0], tokenizer)[:, None]
        tensors[name] = torch.tensor(values, dtype=torch.float32).to(getattr(torch, spec["dtype"]))
    if spec["config"]["model_type"] == "gpt2":
        # GPT-2's published files hold the causal mask of every layer, and a loader has to pass over it.
        positions = spec["config"]["n_positions"]
        for layer in range(spec["config"]["n_layer"]):
            mask = torch.ones(positions, positions).tril().view(1, 1, positions, positions)
            tensors[f"transformer.h.{layer}.attn.bias"] = mask
    return tensors


def favour(spec, rows, tokenizer):
    """A factor for each row of the output head: unreadable tokens are unlikely, so that greedy text is readable."""
    factors = numpy.full(rows, 0.25)
    special = tokenizer.get_added_tokens_decoder()
    for token in range(min(rows, tokenizer.get_vocab_size())):
        text = tokenizer.id_to_token(token).replace("▁", " ").replace("Ġ", " ")
        readable = text.isascii() and text.isprintable() and not text.startswith("<")
        if token not in special and (readable or spec.get("raw_bytes")):
            factors[token] = 1.0
    return factors


def save(spec, folder, tensors):
    """Writes the weights in as many files as the spec asks for, in the layout of the hub."""
    names = sorted(tensors)
    shards = spec.get("shards", 1)
    if shards == 1:
        safetensors.torch.save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
        return
    index = {"metadata": {"total_size": sum(t.nbytes for t in tensors.values())}, "weight_map": {}}
    for shard in range(shards):
        part = names[shard * len(names) // shards : (shard + 1) * len(names) // shards]
        file = f"model-{shard + 1:05}-of-{shards:05}.safetensors"
        safetensors.torch.save_file({n: tensors[n] for n in part}, folder / file, metadata={"format": "pt"})
        index["weight_map"].update({name: file for name in part})
    write_json(folder / "model.safetensors.index.json", index)


def write_json(path, value):
    """A JSON object, one key a line."""
    lines = [f"  {json.dumps(key)}: {json.dumps(item, ensure_ascii=False)}" for key, item in value.items()]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def classic(config):
    """The same configuration in the keys that files older than `rope_parameters` use."""
    older = {key: value for key, value in config.items() if key not in ("rope_parameters", "dtype")}
    scaling = dict(config["rope_parameters"])
    older["rope_theta"] = scaling.pop("rope_theta")
    return {**older, "rope_scaling": scaling, "torch_dtype": config["dtype"]}


def load(folder, config=None, dtype=torch.float32):
    """The model as transformers loads it from the folder's own files, or from them with another configuration."""
    given = None
    if config is not None:
        with tempfile.TemporaryDirectory() as other:
            write_json(Path(other) / "config.json", config)
            given = transformers.AutoConfig.from_pretrained(other)
    model, info = transformers.AutoModelForCausalLM.from_pretrained(
        folder, config=given, dtype=dtype, attn_implementation="eager", output_loading_info=True
    )
    if info["missing_keys"] or info["mismatched_keys"]:
        raise SystemExit(f"{folder}: transformers misses tensors: {info}")
    return model.eval()


def logits(model, tokens):
    with torch.no_grad():
        return model(torch.tensor([tokens]), use_cache=False).logits[0]


def greedy(model, prompt):
    """The greedy continuation with no cache, and the smallest lead of a best logit over prompt and continuation."""
    tokens = list(prompt)
    for _ in range(GREEDY):
        tokens.append(int(logits(model, tokens)[-1].argmax()))
    rows = logits(model, tokens[:-1])
    best = rows.topk(2, dim=-1).values
    return tokens[len(prompt) :], float(((best[:, 0] - best[:, 1]) / rows.std(dim=-1)).min())


def prompt_of(tokenizer):
    """The first words of the corpus that make a prompt of the wanted length."""
    for end in range(1, len(kinds.PROMPT)):
        ids = tokenizer.encode(kinds.PROMPT[:end]).ids
        if len(ids) == PROMPT and not kinds.PROMPT[end - 1].isspace():
            return kinds.PROMPT[:end], ids
    raise SystemExit("no beginning of the corpus has the prompt's length")


def texts(tokenizer):
    """What the tokenizer makes of texts that tokenizers get wrong."""
    special = tokenizer.get_added_tokens_decoder()
    last = special[max(special)].content
    cases = [
        "",
        " ",
        "The wheel turned.",
        "  two leading spaces, and two trailing  ",
        "one\ntwo\n\n\nthree\r\n\tfour\n",
        "We've 12345 sacks; they're theirs, I'LL say!",
        "café cafe\u0301 Mühle 石臼 жернов رحى",
        "👍🏽 👩‍👩‍👧 \U0001f9f1",
        f"a{last}b {last}\nc",
        "a\u00a0b\u200bc\ufeffd \u2003e",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "<0x41> ▁ Ġ <|unknown|> </s",
    ]
    made = []
    for text in cases:
        ids = tokenizer.encode(text).ids
        made.append({"text": text, "ids": ids, "decoded": tokenizer.decode(ids)})
    return made


def make(name, spec, folder):
    """Writes one checkpoint with its expectations, and returns what the conditions judge."""
    folder.mkdir(parents=True, exist_ok=True)
    config = spec["config"]
    text = spec["tokenizer"]()
    (folder / "tokenizer.json").write_text(text, encoding="utf-8")
    tokenizer = tokenizers.Tokenizer.from_str(text)
    token_of = lambda key: tokenizer.id_to_token([*numpy.atleast_1d(config[key])][0])
    write_json(folder / "config.json", config)
    write_json(folder / "generation_config.json", {k: config[k] for k in ("bos_token_id", "eos_token_id")})
    write_json(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": token_of("bos_token_id"),
            "eos_token": token_of("eos_token_id"),
            "clean_up_tokenization_spaces": False,
            "model_max_length": config.get("max_position_embeddings", config.get("n_positions")),
        },
    )
    empty = transformers.AutoModelForCausalLM.from_config(transformers.AutoConfig.from_pretrained(folder))
    names = {key: tuple(value.shape) for key, value in sorted(empty.state_dict().items())}
    if getattr(empty.config, "tie_word_embeddings", False):
        names.pop("lm_head.weight", None)
    save(spec, folder, weights(spec, names, tokenizer))
    return expectations(name, spec, folder, tokenizer)


def expectations(name, spec, folder, tokenizer):
    config = spec["config"]
    model = load(folder)
    prompt_text, prompt = prompt_of(tokenizer)
    generator = numpy.random.Generator(numpy.random.PCG64([spec["seed"], 48]))
    tokens = [0, config["vocab_size"] - 1] + generator.integers(0, config["vocab_size"], POSITIONS - 2).tolist()
    expected = logits(model, tokens)
    safetensors.torch.save_file({"logits": expected}, folder / "expected.safetensors")

    scale = float(expected.std())
    difference = lambda other: float((logits(other, tokens) - expected).abs().max()) / scale
    if spec.get("classic"):
        write_json(folder / "config-classic.json", classic(config))
        if difference(load(folder, classic(config))) != 0.0:
            raise SystemExit(f"{name}: config-classic.json does not mean what config.json means")
    continuation, gap = greedy(model, prompt)
    read = lambda ids: tokenizer.decode(ids)
    report = {
        "gap": gap,
        "distinct": len(set(continuation)),
        "std": scale,
        "noise": float((logits(load(folder, dtype=torch.float64), tokens) - expected.double()).abs().max()) / scale,
        "ablation": difference(load(folder, {**config, **spec["ablate"]})),
        "prefix": read(prompt + continuation).startswith(read(prompt)),
        "special": bool(set(continuation) & set(tokenizer.get_added_tokens_decoder())),
    }
    ours = transformers.AutoTokenizer.from_pretrained(folder)
    cases = texts(tokenizer)
    if any(ours(case["text"])["input_ids"] != case["ids"] for case in cases if case["text"]):
        raise SystemExit(f"{name}: transformers reads the tokenizer's file otherwise than the tokenizers library")
    write_json(
        folder / "expected.json",
        {
            "tokens": tokens,
            "prompt_text": prompt_text,
            "prompt": prompt,
            "greedy": continuation,
            "greedy_text": read(prompt + continuation)[len(read(prompt)) :],
            "texts": cases,
            "seed": spec["seed"],
            "min_gap": gap,
            "versions": {m.__name__: m.__version__ for m in (numpy, tokenizers, torch, transformers)},
        },
    )
    return report


def conditions(report):
    """What a fixture must be to be a fair and a sharp test; the reasons it is not."""
    wrong = []
    if report["gap"] < MIN_GAP:
        wrong.append(f"a greedy token leads by only {report['gap']:.1e} deviations")
    if report["distinct"] < 10:
        wrong.append(f"the greedy continuation has only {report['distinct']} distinct tokens")
    if report["ablation"] < MIN_ABLATION:
        wrong.append(f"the ablation changes the logits by only {report['ablation']:.1e} deviations")
    if report["noise"] > 1e-5:
        wrong.append(f"f32 rounding alone is {report['noise']:.1e} deviations")
    if not report["prefix"] or report["special"]:
        wrong.append("the greedy text does not continue the prompt's, or has special tokens")
    return wrong


def search(name, spec):
    for seed in range(1, 200):
        with tempfile.TemporaryDirectory() as folder:
            report = make(name, {**spec, "seed": seed}, Path(folder))
        if not conditions(report):
            return seed
    raise SystemExit(f"{name}: no seed below 200 passes")


def near(a, b):
    return a.shape == b.shape and float((a - b).abs().max()) <= 1e-5 * float(b.std())


def compare(name, made, committed):
    """The differences between a checkpoint made anew and the committed one."""
    wrong = []
    for path in sorted(made.iterdir()):
        other = committed / path.name
        if not other.exists():
            wrong.append(f"{name}/{path.name} is not committed")
        elif path.suffix == ".safetensors":
            a, b = (safetensors.torch.load_file(file) for file in (path, other))
            # Another processor may add in another order: logits may differ a little, weights may not.
            same = near if path.name == "expected.safetensors" else torch.equal
            if a.keys() != b.keys() or not all(same(a[key], b[key]) for key in a):
                wrong.append(f"{name}/{path.name} has other values")
        else:
            skip = ("min_gap", "versions")
            a, b = ({k: v for k, v in json.loads(f.read_text("utf-8")).items() if k not in skip} for f in (path, other))
            if a != b:
                wrong.append(f"{name}/{path.name} differs")
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(SPECS)}; none means all")
    parser.add_argument("--check", action="store_true", help="compare with the committed files, and write nothing")
    parser.add_argument("--search", action="store_true", help="print the first seed that passes")
    options = parser.parse_args()
    unknown = set(options.names) - set(SPECS)
    if unknown:
        parser.error(f"no checkpoint named {', '.join(sorted(unknown))}; there are {', '.join(SPECS)}")
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    failed = False
    for name in options.names or SPECS:
        if options.search:
            print(f"{name}: seed {search(name, SPECS[name])}")
            continue
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary) / name if options.check else ROOT / name
            report = make(name, SPECS[name], folder)
            wrong = conditions(report) + (compare(name, folder, ROOT / name) if options.check else [])
        figures = ", ".join(f"{key} {report[key]:.2g}" for key in ("gap", "distinct", "std", "noise", "ablation"))
        print(f"{name}: {figures}" + "".join(f"\n  wrong: {reason}" for reason in wrong))
        failed |= bool(wrong)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
